package authserver

import "net/http"

// serveJWKS serves the public keys (RFC 7517 section 5).
func (s *Server) serveJWKS(w http.ResponseWriter, r *http.Request) {
	body, etag, err := s.config.Keys.Document()
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	writeDocument(w, r, body, "application/jwk-set+json", etag)
}
