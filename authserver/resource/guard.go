package resource

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// Guard checks tokens. It is safe for concurrent use.
type Guard struct {
	config  Config
	keys    *keySet
	answers *answers // nil without introspection
}

// New returns a guard, or all that is wrong with the config. It asks nobody: the authorization server may start later.
func New(config Config) (*Guard, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	g := &Guard{config: config, keys: newKeySet(config)}
	if config.Introspection != nil {
		g.answers = newAnswers(config.Introspection.Cache, config.Now)
	}
	return g, nil
}

// The verdicts on a token. Any other error of Verify is a don't-know.
var (
	// ErrInvalid is a token that is not good, or not for this server.
	ErrInvalid = errors.New("resource: token is not valid")
	// ErrExpired is a token that was good once.
	ErrExpired = errors.New("resource: token is expired")
)

// Verify returns the claims of a good token. ErrInvalid and ErrExpired are verdicts; with any other error the server cannot
// know, and should answer so.
func (g *Guard) Verify(ctx context.Context, token string) (*Claims, error) {
	if !wellFormed(token) {
		return nil, ErrInvalid
	}
	if g.answers != nil {
		return g.introspect(ctx, token)
	}
	return g.verify(ctx, token)
}

// Require returns middleware that lets requests through whose token has all of the scopes; without any, every good token
// does. The handler finds the claims by From.
func (g *Guard) Require(scopes ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			claims, refusal := g.check(r, scopes)
			if refusal != nil {
				g.refuse(w, refusal)
				return
			}
			next.ServeHTTP(w, r.WithContext(With(r.Context(), claims)))
		})
	}
}

// refusal is an answer of RFC 6750 section 3.
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
	cannotKnow  = &refusal{http.StatusServiceUnavailable, "temporarily_unavailable", "The access token cannot be checked now. Try again.", ""}
	retrySecond = 1
)

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
			g.config.Log.WarnContext(r.Context(), "an access token cannot be checked", "error", err)
		}
		return nil, cannotKnow
	}
	for _, scope := range scopes {
		if !claims.HasScope(scope) {
			return nil, &refusal{http.StatusForbidden, "insufficient_scope", "The access token does not have the scope.", strings.Join(scopes, " ")}
		}
	}
	return claims, nil
}

// bearer reads the token from the Authorization header (RFC 6750 section 2.1), the one place where it is looked for.
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
		h.Set("Retry-After", strconv.Itoa(retrySecond))
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

const maxToken = 8 << 10

// wellFormed accepts what tokens of the server are made of: base64url and dots. A lax decoder would take more spellings.
func wellFormed(token string) bool {
	for i := range len(token) {
		c := token[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return token != "" && len(token) <= maxToken
}
