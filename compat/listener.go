package compat

import (
	"bytes"
	"net"
	"net/http"
	"strconv"
)

// Listener wraps the listener of a server so that what is no HTTP at all gets the recorded answer too: a status and nothing
// else. net/http answers such requests, one without a Host header for example, with a text of its own before any handler
// sees them.
func Listener(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

// Accept waits for the next connection.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return conn{c}, nil
}

type conn struct{ net.Conn }

// ownHeaders are all the headers of the answers that net/http makes itself. Those of handlers have a Date.
var ownHeaders = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

// Write passes answers on, net/http's own without their text. It makes them in one write each.
func (c conn) Write(p []byte) (int, error) {
	line, _, own := bytes.Cut(p, ownHeaders)
	if !own || !bytes.HasPrefix(line, []byte("HTTP/1.1 4")) || len(line) < len("HTTP/1.1 400") || bytes.ContainsAny(line, "\r\n") {
		return c.Conn.Write(p)
	}
	status, err := strconv.Atoi(string(line[len("HTTP/1.1 "):len("HTTP/1.1 400")]))
	if err != nil {
		return c.Conn.Write(p)
	}
	if _, err := c.Conn.Write([]byte("HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\nConnection: close\r\n\r\n")); err != nil {
		return 0, err
	}
	return len(p), nil
}

// CloseWrite lets net/http say that it is done before it hangs up on a client that is still sending.
func (c conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
