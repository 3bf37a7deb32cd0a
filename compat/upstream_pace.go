package compat

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// minRate is how many bytes a second the client of a forwarded request has to send and to take, on average.
const minRate = 1 << 10

// pace bounds how slow the two sides of a forwarded request may be. The deadlines of the server are meant for small requests, so
// they are replaced by ones that move while bytes move.
type pace struct {
	deadlines *http.ResponseController // not every ResponseWriter has deadlines
	idle      time.Duration
	tooSlow   func() // ends the request because of the upstream
	restore   bool   // the server has a write deadline, which it sets again for each request
}

func newPace(w http.ResponseWriter, r *http.Request, idle time.Duration, tooSlow func()) *pace {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	return &pace{deadlines: http.NewResponseController(w), idle: idle, tooSlow: tooSlow, restore: !ok || server.WriteTimeout > 0}
}

// beforeWrite gives the client time to take n bytes.
func (p *pace) beforeWrite(n int) {
	_ = p.deadlines.SetWriteDeadline(time.Now().Add(p.idle + transferTime(int64(n))))
}

// end bounds what the server does after the answer: it sends what is buffered, and reads what is left of the body.
func (p *pace) end() {
	until := time.Now().Add(p.idle)
	_ = p.deadlines.SetReadDeadline(until)
	if !p.restore {
		until = time.Time{}
	}
	_ = p.deadlines.SetWriteDeadline(until)
}

// transferTime is how long n bytes may take.
func transferTime(n int64) time.Duration { return time.Duration(n) * (time.Second / minRate) }

// pacedBody is the body of a forwarded request. It ends the request when the client does not send, or when the upstream does not
// take.
type pacedBody struct {
	pace     *pace
	body     io.ReadCloser
	streamed bool
	limit    int64

	read   int64
	waited time.Duration // for the client

	mu      sync.Mutex // the body may still be sent when the answer is there
	stopped bool
	watch   *time.Timer // runs while the upstream takes what was read
	err     error       // why the body was not read to its end
}

func (p *pace) body(u *upstreamRequest, limit int64) *pacedBody {
	b := &pacedBody{pace: p, body: u.body, streamed: u.streamed, limit: limit, watch: time.AfterFunc(p.idle, p.tooSlow)}
	b.watch.Stop()
	if !b.streamed {
		_ = p.deadlines.SetReadDeadline(time.Time{}) // the body has been read, and the deadline would end the wait for the upstream
	}
	return b
}

// errClientSlow is the answer to a body that does not arrive.
var errClientSlow = &apiError{status: http.StatusRequestTimeout, message: "The request body was not sent in time"}

// Read reads the next part of the body.
func (b *pacedBody) Read(p []byte) (int, error) {
	b.watchUpstream(false)
	n, err := b.readPart(p)
	switch {
	case err == nil:
		b.watchUpstream(true)
	case !errors.Is(err, io.EOF):
		b.mu.Lock()
		b.err = err
		b.mu.Unlock()
	}
	return n, err
}

func (b *pacedBody) readPart(p []byte) (int, error) {
	if !b.streamed {
		return b.body.Read(p)
	}
	started := time.Now()
	_ = b.pace.deadlines.SetReadDeadline(started.Add(min(b.pace.idle, b.pace.idle+transferTime(b.read)-b.waited)))
	n, err := b.body.Read(p)
	b.waited += time.Since(started)
	b.read += int64(n)
	switch {
	case b.read > b.limit:
		return 0, tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, errClientSlow
	case errors.Is(err, io.EOF):
		_ = b.pace.deadlines.SetReadDeadline(time.Time{}) // as in pace.body
	}
	return n, err
}

// failure is the error of Read, unless the body has been read to its end.
func (b *pacedBody) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// watchUpstream starts or stops the clock of the upstream.
func (b *pacedBody) watchUpstream(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watch.Stop()
	if on && !b.stopped {
		b.watch.Reset(b.pace.idle)
	}
}

// stop ends the watch: the upstream has answered, and may leave the rest of the body where it is.
func (b *pacedBody) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watch.Stop()
	b.stopped = true
}

// Close closes the body.
func (b *pacedBody) Close() error { return b.body.Close() }

// pacedAnswer is the body of the upstream's answer.
type pacedAnswer struct {
	io.ReadCloser
	idle  time.Duration
	watch *time.Timer
}

// answer ends the request when the upstream stops in the middle of its answer.
func (p *pace) answer(body io.ReadCloser) io.ReadCloser {
	a := &pacedAnswer{body, p.idle, time.AfterFunc(p.idle, p.tooSlow)}
	a.watch.Stop()
	return a
}

// Read reads the next part of the answer.
func (a *pacedAnswer) Read(p []byte) (int, error) {
	a.watch.Reset(a.idle)
	defer a.watch.Stop()
	return a.ReadCloser.Read(p)
}
