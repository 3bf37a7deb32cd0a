package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxShadows bounds the operations that are compared at a time.
const maxShadows = 16

// upstreamClient talks to the upstream.
type upstreamClient struct {
	Upstream
	url      *url.URL
	client   *http.Client // for requests of this server's own; no cookies, no redirects
	log      *slog.Logger
	forwards chan struct{} // :: one entry for each forwarded request under way
	shadows  chan struct{} // :: one entry for each shadowed operation under way
}

func newUpstreamClient(target *url.URL, u Upstream, log *slog.Logger) *upstreamClient {
	if u.Timeout <= 0 {
		u.Timeout = 10 * time.Second
	}
	if u.IdleTimeout <= 0 {
		u.IdleTimeout = 30 * time.Second
	}
	if u.MaxTime <= 0 {
		u.MaxTime = 10 * time.Minute
	}
	if u.MaxBody <= 0 {
		u.MaxBody = 64 << 20
	}
	if u.MaxRequests <= 0 {
		u.MaxRequests = 64
	}
	if u.Transport == nil {
		u.Transport = &http.Transport{
			DialContext:            (&net.Dialer{Timeout: min(u.Timeout, 5*time.Second)}).DialContext,
			TLSHandshakeTimeout:    5 * time.Second,
			ResponseHeaderTimeout:  u.Timeout,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConnsPerHost:    u.MaxRequests,
			IdleConnTimeout:        30 * time.Second,
			ForceAttemptHTTP2:      true,
		}
	}
	base := *target
	if base.Path == "" {
		base.Path = "/" // paths are joined to it
	}
	return &upstreamClient{
		Upstream: u,
		url:      &base,
		client: &http.Client{
			Transport: u.Transport, Timeout: u.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		log:      log,
		forwards: make(chan struct{}, u.MaxRequests),
		shadows:  make(chan struct{}, maxShadows),
	}
}

// post sends one operation to the upstream and returns the status and body of its answer.
func (u *upstreamClient) post(ctx context.Context, header http.Header, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(u.url.String(), "/")+"/", bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("compat: ask upstream: %w", err)
	}
	req.Header = header
	req.Header.Set("Accept", "application/json")
	resp, err := u.client.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("compat: ask upstream: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, fmt.Errorf("compat: read answer of upstream: %w", err)
	}
	if len(answer) > maxAnswer {
		return 0, nil, errors.New("compat: answer of upstream is too large")
	}
	return resp.StatusCode, answer, nil
}
