package compat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
)

// errUpstreamSlow ends a request whose upstream stands still, or that takes longer than [Upstream].MaxTime.
var errUpstreamSlow = errors.New("compat: upstream too slow")

// serveUpstream answers a request with the answer of the upstream, and reports it. One that breaks off is reported too: it ends the
// connection by a panic.
func (h *Handler) serveUpstream(w http.ResponseWriter, c *call, u *upstreamRequest) {
	defer func() { h.report(c, u, u.status) }()
	h.forward(w, c.r, u)
}

// forward sends a request to the upstream, and writes its answer.
func (h *Handler) forward(w http.ResponseWriter, r *http.Request, u *upstreamRequest) {
	header, err := h.upstreamHeader(r, u)
	if err == nil {
		select {
		case h.upstream.forwards <- struct{}{}:
			defer func() { <-h.upstream.forwards }()
		default:
			err = errors.New("compat: too many forwarded requests at once")
		}
	}
	if err != nil {
		e := asAPIError(err)
		h.writeError(w, r, e)
		u.status = e.status
		return
	}

	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	ctx, stop := context.WithTimeoutCause(ctx, h.upstream.MaxTime, errUpstreamSlow)
	defer stop()
	pace := newPace(w, r, h.upstream.IdleTimeout, func() { cancel(errUpstreamSlow) })
	defer pace.end()
	body := pace.body(u, h.upstream.MaxBody)
	defer body.stop()

	// Everything that the upstream gets is chosen here. Of the caller's request, only the body goes along.
	out := (&http.Request{Method: u.method, Host: h.upstream.url.Host, URL: h.upstream.url, Body: body, ContentLength: u.length}).WithContext(ctx)
	proxy := &httputil.ReverseProxy{
		Transport: h.upstream.Transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL = h.upstream.url.JoinPath(u.path) // #nosec G125 -- one of two paths that are constants here
			p.Out.Header = header                       // set here, after the proxy has removed what a Connection header names
		},
		ModifyResponse: func(resp *http.Response) error {
			body.stop()
			if err := h.checkUpstreamAnswer(resp, u); err != nil {
				return err
			}
			resp.Body = pace.answer(resp.Body)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			// A body that cannot be read also ends the request's context, and the proxy returns whichever it sees first.
			h.writeUpstreamError(w, r, errors.Join(body.failure(), err))
		},
		ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}
	answer := &upstreamAnswer{w: w, header: http.Header{}, pace: pace, cookies: h.cookiesTravel(r)}
	defer func() { u.status = answer.status }()
	proxy.ServeHTTP(answer, out)
}

// forwardedRequestHeaders are the headers of the caller that the upstream gets. All others stay here: they may be credentials, or
// name headers that this server has set.
var forwardedRequestHeaders = []string{"Accept", "Accept-Encoding", "User-Agent", "X-Request-Id", "Traceparent"}

// upstreamHeader is the header of a forwarded request.
func (h *Handler) upstreamHeader(r *http.Request, u *upstreamRequest) (http.Header, error) {
	header := http.Header{"User-Agent": {""}} // or net/http sends its own
	for _, name := range forwardedRequestHeaders {
		if value := r.Header.Get(name); value != "" {
			header.Set(name, value)
		}
	}
	if u.contentType != "" {
		header.Set("Content-Type", u.contentType)
	}
	if client, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		header.Set("X-Forwarded-For", client)
	}
	switch {
	case u.login: // its body has the credentials, and it gets a session of its own
		if origin := r.Header.Get("Origin"); origin != "" && h.cookiesTravel(r) {
			header.Set("Origin", origin) // names the cookie
		}
		return header, nil
	case h.upstream.Authorization != nil:
		authorization, err := h.upstream.Authorization(r.Context(), u.caller)
		if err != nil {
			return nil, unavailable(err)
		}
		header.Set("Authorization", authorization)
	default:
		header.Set("Authorization", u.authorization)
	}
	if header.Get("Authorization") == "" {
		return nil, errors.New("compat: no credentials for the upstream")
	}
	if cookies := sessionCookies(r.Header.Values("Cookie")); len(cookies) > 0 && h.cookiesTravel(r) {
		header.Set("Cookie", strings.Join(cookies, "; "))
		if origin := r.Header.Get("Origin"); origin != "" {
			header.Set("Origin", origin) // the upstream finds its cookie by it
		}
	}
	return header, nil
}

// cookiesTravel tells whether session cookies of the upstream pass in both directions. A browser sends them by itself, for any
// page that makes it call, so the page has to be listed.
func (h *Handler) cookiesTravel(r *http.Request) bool {
	if !h.upstream.Cookies {
		return false
	}
	switch origins := r.Header.Values("Origin"); len(origins) {
	case 0:
		site := r.Header.Get("Sec-Fetch-Site")
		return site == "" || site == "same-origin" || site == "none"
	case 1:
		return slices.Contains(h.cfg.Origins, origins[0])
	}
	return false
}

// checkUpstreamAnswer refuses answers that would mislead the client.
func (h *Handler) checkUpstreamAnswer(resp *http.Response, u *upstreamRequest) error {
	switch status := resp.StatusCode; {
	case status == http.StatusUnauthorized && h.upstream.Authorization != nil && !u.login:
		return &apiError{
			status: http.StatusBadGateway, message: "The upstream server refuses the account of this server",
			cause: errors.New("compat: upstream answers 401 to the credentials of Upstream.Authorization"),
		}
	case status == http.StatusUnauthorized:
		// Clients discard their tokens on a 401, and these are valid.
		return &apiError{status: http.StatusBadGateway, message: "The upstream server refuses the credentials of this request, which are valid here"}
	case status >= 300 && status < 400, status == http.StatusSwitchingProtocols:
		return &apiError{
			status: http.StatusBadGateway, message: "The upstream server does not answer operations",
			cause: fmt.Errorf("compat: upstream answers %d", status),
		}
	}
	return nil
}

// writeUpstreamError answers a request that could not be forwarded.
func (h *Handler) writeUpstreamError(w http.ResponseWriter, r *http.Request, err error) {
	e := &apiError{status: http.StatusBadGateway, message: "The upstream server is not reachable", cause: err}
	var own *apiError
	var timeout net.Error
	switch {
	case errors.As(err, &own): // the body or the answer was refused
		e = own
	case errors.Is(context.Cause(r.Context()), errUpstreamSlow),
		errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		e = &apiError{status: http.StatusGatewayTimeout, message: "The upstream server did not answer in time", cause: err}
	}
	h.writeError(w, r, e)
}

// upstreamAnswer writes the answer of the upstream. It has a header of its own until the final status is known: informational
// answers are not passed on, and would clear the header.
type upstreamAnswer struct {
	w       http.ResponseWriter
	header  http.Header
	pace    *pace
	cookies bool
	status  int
}

var _ http.ResponseWriter = (*upstreamAnswer)(nil)

func (a *upstreamAnswer) Header() http.Header { return a.header }

// WriteHeader passes the header on, except what the upstream must not decide. This server has set the CORS headers, and a browser
// refuses an answer that has them twice.
func (a *upstreamAnswer) WriteHeader(status int) {
	if a.status != 0 || status < http.StatusOK {
		return
	}
	a.status = status
	for name, values := range a.header {
		switch {
		case strings.HasPrefix(name, "Access-Control-Allow-"), name == "Trailer":
			continue
		case name == "Set-Cookie":
			if values = setSessionCookies(values); !a.cookies || len(values) == 0 {
				continue
			}
		case name != "Server":
			values = append(slices.Clone(a.w.Header()[name]), values...)
		}
		a.w.Header()[name] = values
	}
	a.pace.beforeWrite(0)
	a.w.WriteHeader(status)
}

// Write sends a part of the body.
func (a *upstreamAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.pace.beforeWrite(len(p))
	return a.w.Write(p)
}

// Unwrap lets the proxy flush.
func (a *upstreamAnswer) Unwrap() http.ResponseWriter { return a.w }
