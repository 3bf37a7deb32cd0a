# syntax=docker/dockerfile:1
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/go/build \
    GOCACHE=/go/build CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/opgrant ./cmd/opgrant

# The image has the program and the root certificates for TLS connections.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/opgrant /usr/local/bin/opgrant
ENV PATH=/usr/local/bin
USER 65532:65532
EXPOSE 9925
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s --retries=3 CMD ["opgrant", "healthcheck"]
ENTRYPOINT ["opgrant"]
CMD ["serve"]
