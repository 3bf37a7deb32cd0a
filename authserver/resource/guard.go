package resource

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// Guard checks access tokens. It is safe for concurrent use. Make one with New.
type Guard struct {
	config Config
	keys   *keySet
	cache  *cache // nil without introspection
}

// New returns a guard, or an error that lists everything that is wrong with the config. It sends no request: the authorization
// server may start later.
func New(config Config) (*Guard, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	g := &Guard{config: config, keys: newKeySet(config)}
	if config.Introspection != nil {
		g.cache = newCache(config.Introspection.Cache, config.Now)
	}
	return g, nil
}

// Errors of Verify that say that a token is not valid. Any other error says that the token could not be checked.
var (
	// ErrInvalid is a token that is not valid, or not for this resource server.
	ErrInvalid = errors.New("resource: token is not valid")
	// ErrExpired is a token that has expired.
	ErrExpired = errors.New("resource: token is expired")
)

// Verify returns the claims of a valid access token. ErrInvalid and ErrExpired say that it is not valid. Any other error says
// that it could not be checked, which is a 503 and never a 401.
func (g *Guard) Verify(ctx context.Context, token string) (*Claims, error) {
	if !wellFormed(token) {
		return nil, ErrInvalid
	}
	if g.cache != nil {
		return g.introspect(ctx, token)
	}
	return g.verify(ctx, token)
}

// Require returns middleware that passes requests whose token has all of the scopes, and answers the others (RFC 6750 section
// 3). Without scopes every valid token passes. The handler gets the claims by From.
func (g *Guard) Require(scopes ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			claims, refused := g.check(r, scopes)
			if refused != nil {
				g.refuse(w, refused)
				return
			}
			next.ServeHTTP(w, r.WithContext(With(r.Context(), claims)))
		})
	}
}

// refusal is an error response of RFC 6750 section 3.
type refusal struct {
	status            int
	code, description string
	scope             string
}

var (
	noToken     = &refusal{status: http.StatusUnauthorized}
	malformed   = &refusal{http.StatusBadRequest, "invalid_request", "There must be one Authorization header with one token.", ""}
	notValid    = &refusal{http.StatusUnauthorized, "invalid_token", "The access token is not valid.", ""}
	expired     = &refusal{http.StatusUnauthorized, "invalid_token", "The access token expired.", ""}
	unavailable = &refusal{http.StatusServiceUnavailable, "temporarily_unavailable", "The access token cannot be checked now. Try again.", ""}
)

// retryAfter is the Retry-After of a 503, in seconds.
const retryAfter = 1

func (g *Guard) check(r *http.Request, scopes []string) (*Claims, *refusal) {
	token, refused := bearer(r)
	if refused != nil {
		return nil, refused
	}
	claims, err := g.Verify(r.Context(), token)
	switch {
	case errors.Is(err, ErrInvalid):
		return nil, notValid
	case errors.Is(err, ErrExpired):
		return nil, expired
	case err != nil:
		if r.Context().Err() == nil {
			g.config.Log.WarnContext(r.Context(), "access token not checked", "error", err)
		}
		return nil, unavailable
	}
	for _, scope := range scopes {
		if !claims.HasScope(scope) {
			return nil, &refusal{http.StatusForbidden, "insufficient_scope", "The access token does not have the scope.", strings.Join(scopes, " ")}
		}
	}
	return claims, nil
}

// bearer reads the token from the Authorization header (RFC 6750 section 2.1). Tokens in the body or the URL are not accepted.
func bearer(r *http.Request) (string, *refusal) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		return "", noToken
	}
	if len(headers) > 1 {
		return "", malformed
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", noToken
	}
	token = strings.TrimLeft(token, " ")
	if token == "" || strings.ContainsAny(token, " \t,") {
		return "", malformed
	}
	return token, nil
}

func (g *Guard) refuse(w http.ResponseWriter, r *refusal) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if r.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	} else {
		h.Set("WWW-Authenticate", g.challenge(r))
	}
	if r.code == "" {
		w.WriteHeader(r.status)
		return
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(r.status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": r.code, "error_description": r.description})
}

func (g *Guard) challenge(r *refusal) string {
	c := `Bearer realm="` + g.config.Realm + `"`
	if r.code != "" {
		c += `, error="` + r.code + `", error_description="` + r.description + `"`
	}
	if r.scope != "" {
		c += `, scope="` + r.scope + `"`
	}
	return c
}

// maxToken bounds the length of a token, in bytes.
const maxToken = 8 << 10

// wellFormed accepts the characters of base64url and dots. A lax decoder would accept a token in more than one spelling.
func wellFormed(token string) bool {
	for i := range len(token) {
		c := token[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return token != "" && len(token) <= maxToken
}
