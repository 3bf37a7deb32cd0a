package compat

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

// Bounds on what this server asks the upstream on its own account at a time.
const (
	maxImports = 8
	maxShadows = 16
)

// upstreamClient talks to the upstream.
type upstreamClient struct {
	Upstream
	url     *url.URL
	client  *http.Client           // for requests of this server's own
	proxy   *httputil.ReverseProxy // for requests of callers
	log     *slog.Logger
	imports chan struct{} // :: one entry for each import under way
	shadows chan struct{} // :: one entry for each shadowed operation under way
}

func newUpstreamClient(target *url.URL, u Upstream, log *slog.Logger, onError func(http.ResponseWriter, *http.Request, error)) *upstreamClient {
	if u.Timeout <= 0 {
		u.Timeout = 10 * time.Second
	}
	if u.Transport == nil {
		u.Transport = &http.Transport{
			DialContext:           (&net.Dialer{Timeout: min(u.Timeout, 5*time.Second)}).DialContext,
			TLSHandshakeTimeout:   5 * time.Second,
			ResponseHeaderTimeout: u.Timeout,
			MaxIdleConnsPerHost:   32,
			IdleConnTimeout:       30 * time.Second,
			ForceAttemptHTTP2:     true,
		}
	}
	return &upstreamClient{
		Upstream: u,
		url:      target,
		client: &http.Client{
			Transport: u.Transport, Timeout: u.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		proxy:   newProxy(target, u.Transport, log, onError),
		log:     log,
		imports: make(chan struct{}, maxImports),
		shadows: make(chan struct{}, maxShadows),
	}
}

// newProxy streams requests to the upstream and its answers back.
func newProxy(target *url.URL, transport http.RoundTripper, log *slog.Logger, onError func(http.ResponseWriter, *http.Request, error)) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"]
			p.SetXForwarded()
		},
		// This server has set the CORS headers, and a browser refuses an answer that has them twice.
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del("Access-Control-Allow-Origin")
			r.Header.Del("Access-Control-Allow-Credentials")
			return nil
		},
		ErrorHandler: onError,
		ErrorLog:     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
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
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("compat: read answer of upstream: %w", err)
	}
	return resp.StatusCode, answer, nil
}
