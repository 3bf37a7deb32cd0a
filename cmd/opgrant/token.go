package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/config"
	"github.com/opgrant/opgrant/storage"
)

func (p *program) tokenCommand() *cobra.Command {
	return group("token", "Look into tokens", p.tokenInspectCommand())
}

func (p *program) tokenInspectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Decode and check a token, and say why it is not good (- is standard input)",
		Long: `Decode and check a token of any kind that this server issues, and say in plain words why it is not good. It is read
from a file or from standard input, because whoever sees a good token can use it. The exit code is 0 for a good token and 1
for one that is not.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := p.readSecret(args[0], "token")
			if err != nil {
				return err
			}
			cfg, err := p.load()
			if err != nil {
				return err
			}
			return p.withState(cmd.Context(), func(ctx context.Context, s *state) error {
				if err := s.keys.Load(ctx); err != nil {
					return err
				}
				found, err := inspect(ctx, cfg, s, strings.TrimSpace(token))
				if err != nil {
					return err
				}
				if err := p.printInspection(found); err != nil {
					return err
				}
				if !found.Good {
					return exitCode(1)
				}
				return nil
			})
		},
	}
	p.outputFlag(cmd)
	return cmd
}

// inspection is what can be said about a token.
type inspection struct {
	Good    bool                 `json:"good"`
	Kind    string               `json:"kind"`
	Reasons []string             `json:"reasons,omitempty"` // why it is not good
	Header  map[string]any       `json:"header,omitempty"`
	Claims  map[string]any       `json:"claims,omitempty"`
	Session *storage.SessionInfo `json:"session,omitempty"`
}

func (i *inspection) because(format string, args ...any) {
	i.Reasons = append(i.Reasons, fmt.Sprintf(format, args...))
}

// inspect has the server's verdict and looks for the reason where it is a no.
func inspect(ctx context.Context, cfg *config.Config, s *state, token string) (*inspection, error) {
	if cfg.Issuer == "" {
		cfg.Issuer = "http://" + cfg.Listen
	}
	server, err := newStandardDoor(cfg, s, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	i := &inspection{Kind: "opaque token"}
	sid, _, _ := strings.Cut(token, ".")
	if strings.Count(token, ".") == 2 {
		i.Kind = "JWT"
		sid = i.decode(s, token)
		if issuer, ok := i.Claims["iss"].(string); ok && issuer != cfg.Issuer {
			i.because("its issuer is %q, and this server is %q", issuer, cfg.Issuer)
		}
	}
	verdict, err := server.Inspect(ctx, token)
	switch {
	case err == nil:
		i.Good = true
		i.Kind = kindOf(verdict)
		sid = verdict.Session
	case errors.Is(err, authserver.ErrTokenExpired):
		if len(i.Reasons) == 0 {
			i.because("it has expired")
		}
	case errors.Is(err, authserver.ErrTokenInvalid):
	default:
		return nil, err
	}
	if err := i.describeSession(ctx, s, sid); err != nil {
		return nil, err
	}
	if !i.Good && len(i.Reasons) == 0 {
		i.because("its session does not know it: it was revoked, or replaced by a refresh, or it is altered or no token of this server")
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

// decode reads a JWT, says what is wrong with it, and returns the session that it names.
func (i *inspection) decode(s *state, token string) (session string) {
	parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	if err != nil {
		i.because("it is no JWT: a part of it cannot be decoded")
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

func (i *inspection) checkSignature(s *state, token string, parsed *jwt.Token) {
	kid, _ := parsed.Header["kid"].(string)
	candidates := s.keys.Verifiers(kid)
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
		i.because("its key %q is none of this server's: another server signed it, or the key has been gone for long", kid)
		return
	case len(set.Keys) == 0:
		i.because("its algorithm %s is not that of its key", parsed.Method.Alg())
		return
	}
	methods := []string{parsed.Method.Alg()}
	_, err := jwt.NewParser(jwt.WithValidMethods(methods), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation()).
		Parse(token, func(*jwt.Token) (any, error) { return set, nil })
	if err != nil {
		i.because("its signature does not fit: it has been altered, or was signed by somebody else")
	}
}

// describeSession looks for the session, and for the reason why it does not open.
func (i *inspection) describeSession(ctx context.Context, s *state, id string) error {
	if id == "" {
		return nil
	}
	info, err := s.store.Session(ctx, id)
	if isNotFound(err) {
		if !i.Good && len(i.Reasons) == 0 {
			i.because("its session has ended: logged out, revoked, expired, or the user's password has changed")
		}
		return nil
	}
	if err != nil {
		return err
	}
	i.Session = &info
	if i.Good || info.Subject == "" {
		return nil
	}
	user, err := s.store.Users.User(ctx, info.Subject)
	switch {
	case isNotFound(err):
		i.because("its user %q has been removed", info.Subject)
	case err != nil:
		return err
	case !user.Active:
		i.because("its user %q is disabled", info.Subject)
	}
	return nil
}

func (p *program) printInspection(i *inspection) error {
	t := table{head: []string{"TOKEN", i.Kind}, json: i}
	verdict := "good"
	if !i.Good {
		verdict = "NOT GOOD"
	}
	t.rows = append(t.rows, []string{"verdict", verdict})
	for _, reason := range i.Reasons {
		t.rows = append(t.rows, []string{"because", reason})
	}
	for _, part := range []struct {
		name   string
		values map[string]any
	}{{"header", i.Header}, {"claim", i.Claims}} {
		for _, name := range slices.Sorted(maps.Keys(part.values)) {
			t.rows = append(t.rows, []string{part.name + " " + name, claimText(name, part.values[name])})
		}
	}
	if s := i.Session; s != nil {
		t.rows = append(t.rows,
			[]string{"session", s.ID}, []string{"client", s.Client}, []string{"user", s.Subject},
			[]string{"logged in", stamp(s.Created)}, []string{"last used", stamp(s.LastUsed)}, []string{"ends", stamp(s.Expires)},
		)
	}
	return p.print(t)
}

// claimText adds to times what they mean.
func claimText(name string, value any) string {
	if seconds, ok := value.(float64); ok && slices.Contains([]string{"exp", "iat", "nbf", "auth_time"}, name) {
		return fmt.Sprintf("%.0f (%s)", seconds, stamp(time.Unix(int64(seconds), 0)))
	}
	return fmt.Sprint(value)
}
