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
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

// peer is the upstream with what is needed to talk to it.
type peer struct {
	Upstream
	target  *url.URL
	client  *http.Client
	log     *slog.Logger
	imports chan struct{} // bounds the questions about unknown users
	shadows chan struct{} // bounds the copies of token operations
}

func newPeer(target *url.URL, u Upstream, log *slog.Logger) *peer {
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
	return &peer{
		Upstream: u,
		target:   target,
		log:      log,
		client: &http.Client{
			Transport: u.Transport, Timeout: u.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		imports: make(chan struct{}, 8),
		shadows: make(chan struct{}, 16),
	}
}

// proxy streams requests to the upstream and its answers back.
func (h *Handler) proxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport: h.peer.Transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(h.peer.target)
			p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"]
			p.SetXForwarded()
		},
		// The origin has been answered for already, and two headers of one name are none to a browser.
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del("Access-Control-Allow-Origin")
			r.Header.Del("Access-Control-Allow-Credentials")
			return nil
		},
		ErrorHandler: h.upstreamFailed,
		ErrorLog:     slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}
}

// pass hands a request to the upstream and returns the status that it answers.
func (h *Handler) pass(w http.ResponseWriter, r *http.Request, p *passOn) int {
	out := r.Clone(r.Context())
	out.Body, out.ContentLength = p.body, p.length
	if h.peer.Authorization != nil && p.caller.Name != "" {
		authorization, err := h.peer.Authorization(r.Context(), p.caller)
		if err != nil {
			f := dontKnow(err)
			h.fail(w, r, f)
			return f.status
		}
		out.Header.Set("Authorization", authorization)
	}
	w.Header().Del("Server")
	// What is streamed takes as long as it takes, and its caller is known. Not every ResponseWriter has deadlines.
	deadlines := http.NewResponseController(w)
	_ = deadlines.SetReadDeadline(time.Time{})
	_ = deadlines.SetWriteDeadline(time.Time{})
	s := &statusWriter{ResponseWriter: w}
	h.forward.ServeHTTP(s, out)
	return s.status
}

// upstreamFailed answers for an upstream that does not, in the shape of all errors.
func (h *Handler) upstreamFailed(w http.ResponseWriter, r *http.Request, err error) {
	f := &failure{status: http.StatusBadGateway, message: "The upstream server is not reachable", cause: err}
	var own *failure
	var late net.Error
	switch {
	case errors.As(err, &own): // the rest of the body was refused on its way
		f = own
	case errors.As(err, &late) && late.Timeout(), errors.Is(err, context.DeadlineExceeded):
		f = &failure{status: http.StatusGatewayTimeout, message: "The upstream server did not answer in time", cause: err}
	}
	h.fail(w, r, f)
}

// ask sends one operation to the upstream and returns its status and body.
func (p *peer) ask(ctx context.Context, header http.Header, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(p.target.String(), "/")+"/", bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("compat: ask upstream: %w", err)
	}
	req.Header = header
	req.Header.Set("Accept", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("compat: ask upstream: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("compat: read upstream's answer: %w", err)
	}
	return resp.StatusCode, answer, nil
}

// statusWriter remembers the status of a forwarded answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the first final status.
func (s *statusWriter) WriteHeader(status int) {
	if s.status == 0 && status >= http.StatusOK {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap lets the proxy flush and set deadlines.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }
