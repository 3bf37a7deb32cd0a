package server

import (
	"net/http"
	"sync/atomic"
)

// closeAmbiguous closes the connection after each request whose end a proxy may see elsewhere than net/http did. What follows on
// the connection could be the rest of its body: RFC 9112 section 6.1 says to close after a request that has both Content-Length
// and Transfer-Encoding, and after one of HTTP/1.0 that has Transfer-Encoding. net/http shows a handler neither: it drops the
// Content-Length of a chunked request, and the Transfer-Encoding of one of HTTP/1.0. So every such request ends its connection.
// The price is one connection for each chunked request. Clients of both APIs know the length of what they send.
func closeAmbiguous(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// closeDraining ends the connection with each answer of a server that drains, also of a request that began before: what a client
// or a proxy sends next would meet a closed port.
func closeDraining(next http.Handler, draining *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := &drainWriter{ResponseWriter: w, draining: draining}
		next.ServeHTTP(d, r)
		d.announce() // of an answer that net/http writes by itself, because it is empty
	})
}

type drainWriter struct {
	http.ResponseWriter
	draining *atomic.Bool
	written  bool
}

func (d *drainWriter) announce() {
	if !d.written && d.draining.Load() {
		d.Header().Set("Connection", "close")
	}
}

func (d *drainWriter) WriteHeader(status int) {
	if status >= http.StatusOK {
		d.announce()
		d.written = true
	}
	d.ResponseWriter.WriteHeader(status)
}

func (d *drainWriter) Write(b []byte) (int, error) {
	d.announce()
	d.written = true
	return d.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach what the server offers.
func (d *drainWriter) Unwrap() http.ResponseWriter { return d.ResponseWriter }
