package authserver

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/gorilla/mux"
	"github.com/ory/fosite"
)

// Server is the standard door: the endpoints of an OAuth 2.0 authorization server. It is safe for concurrent use and holds
// no state but caches.
type Server struct {
	config           Config
	provider         *fosite.Fosite
	router           *mux.Router
	metadataDocument []byte
}

// New returns a server, or says all that is wrong with the config. It does not talk to the store.
func New(config Config) (*Server, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	s := &Server{config: config.withDefaults()}
	s.provider = s.newProvider()
	var err error
	if s.metadataDocument, err = s.metadata(); err != nil {
		return nil, fmt.Errorf("authserver: %w", err)
	}
	s.router = mux.NewRouter().SkipClean(true).UseEncodedPath() // one spelling of each path: a redirect drops the body, %2f fools proxies
	s.Register(s.router)
	return s, nil
}

// ServeHTTP serves the endpoints below the root. To serve them beside others, use Register.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.router.ServeHTTP(w, r) }

// Register adds the endpoints to a router.
func (s *Server) Register(router *mux.Router) {
	endpoint := func(path string, h http.HandlerFunc) { router.HandleFunc(path, h) } // the form parser answers 405
	endpoint(pathToken, s.token)
	endpoint(pathIntrospect, s.introspect)
	endpoint(pathRevoke, s.revoke)
	document := func(path string, h http.HandlerFunc) { router.Handle(path, only(h, http.MethodGet, http.MethodHead)) }
	document(pathMetadata, s.serveMetadata)
	document(pathJWKS, s.serveJWKS)
}

// Token returns the token endpoint alone, for a front door of another kind that speaks to it in-process.
func (s *Server) Token() http.Handler { return http.HandlerFunc(s.token) }

// only answers 405 with Allow to other methods.
func only(h http.Handler, methods ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, m := range methods {
			if r.Method == m {
				h.ServeHTTP(w, r)
				return
			}
		}
		w.Header().Set("Allow", strings.Join(methods, ", "))
		writeJSON(w, http.StatusMethodNotAllowed, map[string]string{"error": "invalid_request", "error_description": "The method is not allowed."})
	})
}
