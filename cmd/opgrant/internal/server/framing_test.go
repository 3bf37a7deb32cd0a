package server

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/opgrant/opgrant/config"
)

// serveHandler serves on a listener of its own, as Run does, and returns the address.
func serveHandler(t *testing.T, public http.Handler) string {
	t.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.AdminListen, cfg.HTTP.DrainDelay = "127.0.0.1:0", "off", 0
	ctx, stop := context.WithCancel(t.Context())
	l, err := listen(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	log, _ := testLog(t)
	done := make(chan error, 1)
	go func() { done <- l.serve(ctx, cfg.HTTP, public, http.NotFoundHandler(), started(log), log) }()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return l.public.Addr().String()
}

// answersTo sends bytes on one connection and returns the status of each answer, until the server closes the connection or the
// last request, which is for /last, is answered.
func answersTo(t *testing.T, address, text string) (statuses []int, closed bool) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	for r := bufio.NewReader(conn); ; {
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			return statuses, true
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		statuses = append(statuses, response.StatusCode)
		if string(body) == "/last" {
			return statuses, false
		}
	}
}

// A request that a proxy may have framed otherwise is the last on its connection: what follows could be the rest of its body.
func TestAmbiguousRequestsEndTheConnection(t *testing.T) {
	address := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, r.URL.Path)
	}))
	const post, host, last = "POST /first HTTP/1.1\r\n", "Host: x\r\n", "GET /last HTTP/1.1\r\nHost: x\r\n\r\n"
	const chunked, chunks = "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"
	const post10 = "POST /first HTTP/1.0\r\nConnection: keep-alive\r\n"
	for name, row := range map[string]struct {
		text   string
		status int  // of the first request
		goesOn bool // the next request on the connection is answered
	}{
		"Content-Length":                  {post + host + "Content-Length: 3\r\n\r\nabc", 200, true},
		"no body":                         {post + host + "\r\n", 200, true},
		"the same Content-Length twice":   {post + host + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 200, true},
		"chunked":                         {post + host + chunked + "\r\n" + chunks, 200, false},
		"both, Content-Length first":      {post + host + "Content-Length: 3\r\n" + chunked + "\r\n" + chunks, 200, false},
		"both, Transfer-Encoding first":   {post + host + chunked + "Content-Length: 3\r\n\r\n" + chunks, 200, false},
		"both, of length 0":               {post + host + "Content-Length: 0\r\n" + chunked + "\r\n" + chunks, 200, false},
		"both, with GET":                  {"GET /first HTTP/1.1\r\n" + host + "Content-Length: 3\r\n" + chunked + "\r\n" + chunks, 200, false},
		"both, capital letters":           {post + host + "Content-Length: 3\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n" + chunks, 200, false},
		"HTTP/1.0 with both":              {post10 + "Content-Length: 3\r\n" + chunked + "\r\nabc", 200, false},
		"HTTP/1.0 with Transfer-Encoding": {post10 + chunked + "\r\n", 200, false},
		"two lengths":                     {post + host + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400, false},
		"a list of lengths":               {post + host + "Content-Length: 3, 3\r\n\r\nabc", 400, false},
		"length with a sign":              {post + host + "Content-Length: +3\r\n\r\nabc", 400, false},
		"negative length":                 {post + host + "Content-Length: -3\r\n\r\nabc", 400, false},
		"hexadecimal length":              {post + host + "Content-Length: 0x3\r\n\r\nabc", 400, false},
		"length that is too large":        {post + host + "Content-Length: 99999999999999999999\r\n\r\nabc", 400, false},
		"empty length":                    {post + host + "Content-Length: \r\n\r\nabc", 400, false},
		"Transfer-Encoding identity":      {post + host + "Transfer-Encoding: identity\r\n\r\n", 501, false},
		"Transfer-Encoding gzip, chunked": {post + host + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunks, 501, false},
		"Transfer-Encoding chunked twice": {post + host + "Transfer-Encoding: chunked, chunked\r\n\r\n" + chunks, 501, false},
		"Transfer-Encoding xchunked":      {post + host + "Transfer-Encoding: xchunked\r\n\r\n" + chunks, 501, false},
		"two headers Transfer-Encoding":   {post + host + chunked + "Transfer-Encoding: identity\r\n\r\n" + chunks, 501, false},
		"both, and another coding":        {post + host + "Content-Length: 3\r\nTransfer-Encoding: gzip\r\n\r\nabc", 501, false},
		"space before the colon":          {post + host + "Transfer-Encoding : chunked\r\n\r\n" + chunks, 400, false},
		"no Host":                         {post + "\r\n", 400, false},
		"two Hosts":                       {post + host + host + "\r\n", 400, false},
	} {
		t.Run(name, func(t *testing.T) {
			statuses, closed := answersTo(t, address, row.text+last)
			want := []int{row.status}
			if row.goesOn {
				want = append(want, 200)
			}
			if len(statuses) != len(want) || statuses[0] != want[0] || closed == row.goesOn {
				t.Errorf("answers %v, connection closed %t; want %v, %t", statuses, closed, want, !row.goesOn)
			}
		})
	}
}

// A handler that panics answers by another way, which must not keep the connection.
func TestAnAmbiguousRequestThatPanicsEndsTheConnection(t *testing.T) {
	log, _ := testLog(t)
	address := serveHandler(t, observed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/last" {
			_, _ = io.WriteString(w, r.URL.Path)
			return
		}
		panic("the reason")
	}), newMetrics(""), log))
	const post, last = "POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n", "GET /last HTTP/1.1\r\nHost: x\r\n\r\n"
	statuses, closed := answersTo(t, address, post+"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+last)
	if len(statuses) != 1 || statuses[0] != 500 || !closed {
		t.Errorf("answers %v, connection closed %t", statuses, closed)
	}
	statuses, closed = answersTo(t, address, post+"\r\nabc"+last)
	if len(statuses) != 2 || statuses[0] != 500 || closed {
		t.Errorf("without Transfer-Encoding: answers %v, connection closed %t", statuses, closed)
	}
}
