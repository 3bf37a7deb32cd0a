package authserver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/admission"
)

// The paths of the endpoints, below the issuer. See paths.go.
const (
	pathToken      = "/oauth2/token" // #nosec G101 -- the path of an endpoint
	pathIntrospect = "/oauth2/introspect"
	pathRevoke     = "/oauth2/revoke"
	pathMetadata   = "/.well-known/oauth-authorization-server"
	pathJWKS       = "/.well-known/jwks.json"
)

// Server has the endpoints of an OAuth 2.0 authorization server. It is safe for concurrent use. Make one with New.
type Server struct {
	config           Config
	provider         *fosite.Fosite
	router           *mux.Router
	metadataDocument []byte
	slowSecrets      *admission.Gate
}

var _ http.Handler = (*Server)(nil)

// New returns a server, or an error that lists everything that is wrong with the config. It does not use the store yet.
func New(config Config) (*Server, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	s := &Server{config: config.withDefaults(), slowSecrets: newSlowSecrets()}
	var err error
	if s.provider, err = s.newProvider(); err != nil {
		return nil, fmt.Errorf("authserver: %w", err)
	}
	if s.metadataDocument, err = s.metadata(); err != nil {
		return nil, fmt.Errorf("authserver: %w", err)
	}
	// Each path has one spelling: a redirect to the clean one would drop the body, and %2f could pass a proxy's rules.
	s.router = mux.NewRouter().SkipClean(true).UseEncodedPath()
	s.Register(s.router)
	return s, nil
}

// ServeHTTP serves the endpoints, and 404 for other paths. To serve them beside other handlers, use Register.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.router.ServeHTTP(w, r) }

// Register adds the endpoints to a router: below the path of the issuer, as the metadata names them, and without that path, for
// a proxy that takes it off.
func (s *Server) Register(router *mux.Router) {
	for endpoint, handler := range map[string]http.HandlerFunc{
		pathToken:      s.withPreflight(s.metered(s.serveToken)),
		pathIntrospect: s.withPreflight(s.metered(s.serveIntrospect)),
		pathRevoke:     s.withPreflight(s.metered(s.serveRevoke)),
		pathMetadata:   public(s.readOnly(s.serveMetadata)),
		pathJWKS:       public(s.readOnly(s.serveJWKS)),
	} {
		for _, path := range s.pathsOf(endpoint) {
			router.HandleFunc(path, handler)
		}
	}
}

// Token returns the token endpoint for a handler that calls it in the same process. Do not serve it to clients: a request by
// this way may exchange tokens as a public client, which ServeHTTP refuses.
func (s *Server) Token() http.Handler {
	serve := s.metered(s.serveToken)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve(w, r.WithContext(context.WithValue(r.Context(), inProcessKey{}, true)))
	})
}

// metered counts the body of a request by Config.MeterBody until the request has ended.
func (s *Server) metered(h http.HandlerFunc) http.HandlerFunc {
	if s.config.MeterBody == nil {
		return h
	}
	return func(w http.ResponseWriter, r *http.Request) {
		metered, release := s.config.MeterBody(r.Body)
		defer release()
		counted := *r
		counted.Body = struct {
			io.Reader
			io.Closer
		}{metered, r.Body}
		h(w, &counted)
	}
}

// readOnly answers 405 to methods other than GET and HEAD.
func (s *Server) readOnly(h http.HandlerFunc) http.HandlerFunc {
	methods := []string{http.MethodGet, http.MethodHead}
	return func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(methods, r.Method) {
			w.Header().Set("Allow", strings.Join(methods, ", "))
			s.writeError(w, r, methodNotAllowed("The method is not allowed."))
			return
		}
		h(w, r)
	}
}
