# Everything that .ci/run asks for, one word each.

.PHONY: check test race fuzz lint cover up down

check: lint test
	go vet ./...
	go mod tidy -diff

test:
	go test ./...

race:
	go test -race -short ./...

fuzz:
	bash .ci/fuzz 10s

lint:
	golangci-lint fmt --diff
	golangci-lint run

cover:
	go test -short -coverprofile=coverage.out ./...
	go tool cover -func=coverage.out | tail -n 1

up:
	docker compose up --build --wait

down:
	docker compose down --volumes
