package authserver

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/opgrant/opgrant/authserver/policy"
)

// The paths of the endpoints, below the issuer.
const (
	pathToken      = "/oauth2/token"
	pathIntrospect = "/oauth2/introspect"
	pathRevoke     = "/oauth2/revoke"
	pathMetadata   = "/.well-known/oauth-authorization-server"
	pathJWKS       = "/.well-known/jwks.json"
)

// jwksAge is how long verifiers may keep the key set, in seconds. It must stay below keys.Config.Lead.
const jwksAge = 300

// metadata is the document of RFC 8414 section 2: only what works, and nothing that a request could change.
func (s *Server) metadata() ([]byte, error) {
	authMethods := []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"}
	confidential := authMethods[:3]
	algorithms := policy.Algorithms()
	return json.Marshal(map[string]any{
		"issuer":                                s.config.Issuer,
		"token_endpoint":                        s.config.Issuer + pathToken,
		"introspection_endpoint":                s.config.Issuer + pathIntrospect,
		"revocation_endpoint":                   s.config.Issuer + pathRevoke,
		"jwks_uri":                              s.config.Issuer + pathJWKS,
		"grant_types_supported":                 s.grantTypes(),
		"response_types_supported":              []string{}, // required by the RFC; there is no authorization endpoint
		"token_endpoint_auth_methods_supported": authMethods,
		"token_endpoint_auth_signing_alg_values_supported":         algorithms,
		"introspection_endpoint_auth_methods_supported":            confidential,
		"introspection_endpoint_auth_signing_alg_values_supported": algorithms,
		"revocation_endpoint_auth_methods_supported":               authMethods,
		"revocation_endpoint_auth_signing_alg_values_supported":    algorithms,
	})
}

func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) {
	s.document(w, r, s.metadataDocument, "application/json", "")
}

// serveJWKS serves the public keys (RFC 7517 section 5).
func (s *Server) serveJWKS(w http.ResponseWriter, r *http.Request) {
	body, etag, err := s.config.Keys.Document()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.document(w, r, body, "application/jwk-set+json", etag)
}

func (s *Server) document(w http.ResponseWriter, r *http.Request, body []byte, kind, etag string) {
	h := w.Header()
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(jwksAge))
	h.Set("Access-Control-Allow-Origin", "*") // public documents, without credentials
	if etag != "" {
		h.Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
