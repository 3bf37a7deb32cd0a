package opgrant

import (
	"net/http"
	"net/url"
	"path"
	"slices"

	"github.com/opgrant/opgrant/compat"
)

// newHandler joins the two APIs.
func (s *Server) newHandler() (http.Handler, error) {
	mux := http.NewServeMux()
	for _, under := range slices.Compact([]string{"", issuerPath(s.config.Issuer)}) {
		mux.Handle(under+"/oauth2/", s.OAuth)
		mux.Handle(under+"/.well-known/", s.OAuth)
	}
	if s.config.DisableOperations {
		mux.Handle("/", s.OAuth)
		return mux, nil
	}
	operations, err := s.newOperations()
	if err != nil {
		return nil, err
	}
	// The mux would redirect a path that is not clean. The operations API answers each path as it was sent.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" && cleanPath(r.URL.Path) {
			mux.ServeHTTP(w, r)
			return
		}
		operations.ServeHTTP(w, r)
	}), nil
}

// newOperations puts the operations API in front of the token endpoint and the store.
func (s *Server) newOperations() (http.Handler, error) {
	accounts := &accounts{store: s.Store, server: s.OAuth}
	c := s.config.Operations
	c.Token = s.OAuth.Token()
	c.Authenticator, c.Users, c.Roles = accounts, accounts, accounts
	c.OnOperation = s.operationServed
	return compat.New(c)
}

// issuerPath is the path below which the OAuth endpoints are, as the metadata names them. authserver.New has checked the issuer.
func issuerPath(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	return u.Path
}

// cleanPath tells whether a ServeMux would serve the path rather than redirect it.
func cleanPath(p string) bool {
	if p == "" || p[0] != '/' {
		return false
	}
	clean := path.Clean(p)
	return p == clean || p == clean+"/"
}
