package server

import "net/http"

// withPaths serves GET and HEAD of some paths. Every other request goes to next, with its path as it was sent: a ServeMux would
// redirect one that is not clean.
func withPaths(paths map[string]http.Handler, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := paths[r.URL.Path]; h != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			h.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
