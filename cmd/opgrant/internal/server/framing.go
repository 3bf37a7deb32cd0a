package server

import "net/http"

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
