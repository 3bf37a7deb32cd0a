package authserver

import (
	"encoding/json"
	"net/http"

	"github.com/opgrant/opgrant/authserver/policy"
)

// metadata is the document of RFC 8414 section 2. It names only what the server offers, and no request changes it. Which
// clients there are does not change it either: they come and go while the server runs.
func (s *Server) metadata() ([]byte, error) {
	var grantTypes []string
	for _, g := range s.offered() {
		grantTypes = append(grantTypes, g.Type)
	}
	authMethods := []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"}
	confidential := authMethods[:3]
	algorithms := policy.AssertionAlgorithms()
	return json.Marshal(map[string]any{
		"issuer":                                s.config.Issuer,
		"token_endpoint":                        s.config.Issuer + pathToken,
		"introspection_endpoint":                s.config.Issuer + pathIntrospect,
		"revocation_endpoint":                   s.config.Issuer + pathRevoke,
		"jwks_uri":                              s.config.Issuer + pathJWKS,
		"grant_types_supported":                 grantTypes,
		"response_types_supported":              []string{}, // required by the RFC; there is no authorization endpoint
		"token_endpoint_auth_methods_supported": authMethods,
		"token_endpoint_auth_signing_alg_values_supported":         algorithms,
		"introspection_endpoint_auth_methods_supported":            confidential,
		"introspection_endpoint_auth_signing_alg_values_supported": algorithms,
		"revocation_endpoint_auth_methods_supported":               authMethods,
		"revocation_endpoint_auth_signing_alg_values_supported":    algorithms,
	})
}

// serveMetadata is the metadata endpoint (RFC 8414 section 3).
func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) {
	writeDocument(w, r, s.metadataDocument, "application/json", "")
}
