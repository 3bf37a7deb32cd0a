package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/cmd/opgrant/internal/server"
	"github.com/opgrant/opgrant/storage"
)

// inspection is what can be found out about a token.
type inspection struct {
	Valid   bool                 `json:"valid"`
	Kind    string               `json:"kind"`
	Reasons []string             `json:"reasons,omitempty"` // why it is invalid
	Header  map[string]any       `json:"header,omitempty"`
	Claims  map[string]any       `json:"claims,omitempty"`
	Session *storage.SessionInfo `json:"session,omitempty"`
}

func (i *inspection) because(format string, args ...any) {
	i.Reasons = append(i.Reasons, fmt.Sprintf(format, args...))
}

// inspect decides as the server does. For an invalid token it looks for the reason.
func inspect(ctx context.Context, s *opgrant.Server, token string) (*inspection, error) {
	i := &inspection{Kind: "opaque token"}
	session, _, _ := strings.Cut(token, ".")
	if strings.Count(token, ".") == 2 {
		i.Kind = "JWT"
		session = i.decode(s, token)
		if issuer, ok := i.Claims["iss"].(string); ok && issuer != s.Issuer() {
			i.because("its issuer is %q, and this server is %q", issuer, s.Issuer())
		}
	}
	found, err := s.OAuth.Inspect(ctx, token)
	switch {
	case err == nil:
		i.Valid = true
		i.Kind = kindOf(found)
		session = found.Session
	case errors.Is(err, authserver.ErrTokenExpired):
		if len(i.Reasons) == 0 {
			i.because("it has expired")
		}
	case errors.Is(err, authserver.ErrTokenInvalid):
	default:
		return nil, err
	}
	if err := i.describeSession(ctx, s, session); err != nil {
		return nil, err
	}
	if !i.Valid && len(i.Reasons) == 0 {
		i.because("its session does not know it: it was revoked, replaced by a refresh or altered, or this server did not issue it")
	}
	return i, nil
}

func kindOf(t *authserver.Token) string {
	profile := "standard"
	if t.Legacy {
		profile = "legacy"
	}
	return profile + " " + strings.ReplaceAll(string(t.Kind), "_", " ")
}

// decode reads a JWT, notes what is wrong with it, and returns the session that it names.
func (i *inspection) decode(s *opgrant.Server, token string) (session string) {
	parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	if err != nil {
		i.because("it is not a JWT: a part of it cannot be decoded")
		return ""
	}
	claims, _ := parsed.Claims.(jwt.MapClaims)
	i.Header, i.Claims = parsed.Header, claims
	i.checkSignature(s, token, parsed)
	if at, err := claims.GetExpirationTime(); err == nil && at != nil && time.Now().After(at.Time) {
		i.because("it expired %s ago, at %s", time.Since(at.Time).Round(time.Second), at.UTC().Format(time.RFC3339))
	}
	session, _ = claims["sid"].(string)
	return session
}

func (i *inspection) checkSignature(s *opgrant.Server, token string, parsed *jwt.Token) {
	kid, _ := parsed.Header["kid"].(string)
	candidates := s.Keys.Verifiers(kid)
	var set jwt.VerificationKeySet
	for _, k := range candidates {
		if k.Algorithm == parsed.Method.Alg() {
			set.Keys = append(set.Keys, k.Public)
		}
	}
	switch {
	case len(candidates) == 0 && kid == "":
		i.because("it names no key, and there is no imported key that may have signed it")
		return
	case len(candidates) == 0:
		i.because("its key %q is not a key of this server: another server signed it, or the key has been removed", kid)
		return
	case len(set.Keys) == 0:
		i.because("its algorithm %s is not that of its key", parsed.Method.Alg())
		return
	}
	methods := []string{parsed.Method.Alg()}
	_, err := jwt.NewParser(jwt.WithValidMethods(methods), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation()).
		Parse(token, func(*jwt.Token) (any, error) { return set, nil })
	if err != nil {
		i.because("its signature is wrong: it was altered, or signed with another key")
	}
}

// describeSession reads the session of the token. For an invalid token it notes what is wrong with the session or its user.
func (i *inspection) describeSession(ctx context.Context, s *opgrant.Server, id string) error {
	if id == "" {
		return nil
	}
	info, err := s.Store.Session(ctx, id)
	if server.IsNotFound(err) {
		if !i.Valid && len(i.Reasons) == 0 {
			i.because("its session has ended: revoked, expired, or ended by a change of the user's password")
		}
		return nil
	}
	if err != nil {
		return err
	}
	i.Session = &info
	if i.Valid || info.Subject == "" {
		return nil
	}
	user, err := s.Store.Users.User(ctx, info.Subject)
	switch {
	case server.IsNotFound(err):
		i.because("its user %q has been removed", info.Subject)
	case err != nil:
		return err
	case !user.Active:
		i.because("its user %q is disabled", info.Subject)
	}
	return nil
}
