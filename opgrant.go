package opgrant

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/admission"
	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/usage"
)

// Server serves both APIs. It is safe for concurrent use. Its fields must not be set.
type Server struct {
	// Store has the clients and sessions, and as fields the users with their roles.
	Store *storage.Store
	// Keys are the signing keys. They are empty until Run has opened them.
	Keys *keys.Set
	// OAuth serves the OAuth endpoints alone.
	OAuth *authserver.Server
	// Usage counts who calls which API.
	Usage *usage.Counter

	// Admission has the gates that work passes on both APIs, for metrics.
	Admission admission.Gates

	config  Config
	handler http.Handler
	started chan struct{}         // closed when Run has prepared the store and opened the keys
	waiting atomic.Pointer[error] // why the last attempt of Run to do so failed; nil: it has not
}

// New returns a Server, or says what is wrong with the config. It does not talk to Redis: Run does.
func New(config Config) (*Server, error) {
	if config.Redis == nil {
		return nil, errors.New("opgrant: no Redis client")
	}
	if err := policy.OfferedProblems(config.Grants, !config.DisableOperations).Err(); err != nil {
		return nil, fmt.Errorf("opgrant: %w", err)
	}
	s := &Server{config: config.withDefaults(), started: make(chan struct{})}
	s.Admission = s.config.Admission
	var err error
	if s.config.Storage.Source, err = s.config.source(); err != nil {
		return nil, err
	}
	if s.Store, err = storage.New(config.Redis, s.config.Storage); err != nil {
		return nil, err
	}
	keyConfig := config.Keys
	keyConfig.Store = s.Store.Keys
	if s.Keys, err = keys.New(keyConfig); err != nil {
		return nil, err
	}
	s.Usage = s.Store.NewUsageCounter()
	if !config.DisableOperations {
		s.Usage.CountsOperations()
	}

	oauth := authserver.Config{
		Issuer:        config.Issuer,
		Storage:       s.Store,
		Users:         s.Store.Users,
		Keys:          s.Keys,
		Admission:     s.Admission.Requests,
		AccessTTL:     config.AccessTTL,
		RefreshTTL:    config.RefreshTTL,
		Audience:      config.Audience,
		Grants:        config.Grants,
		Assertions:    config.Assertions,
		OnTokenIssued: s.tokenIssued,
		Log:           s.config.Log,

		SecretThrottle: s.Store.Users.Throttle(),
	}
	if s.config.BodyBudget > 0 {
		oauth.MeterBody = newBodyBudget(s.config.BodyBudget).meter
	}
	if s.OAuth, err = authserver.New(oauth); err != nil {
		return nil, err
	}
	if s.config.Operations.MeterBody == nil {
		s.config.Operations.MeterBody = oauth.MeterBody // both APIs share one budget
	}
	if s.handler, err = s.newHandler(); err != nil {
		return nil, err
	}
	return s, nil
}

// ServeHTTP serves the OAuth endpoints below /oauth2/ and /.well-known/, with and without the path of the issuer before them, and,
// unless it is disabled, the operations API on every other path. The address of the client is r.RemoteAddr: behind a reverse proxy, set it before.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Issuer returns the URL that names the server in its tokens.
func (s *Server) Issuer() string { return s.config.Issuer }
