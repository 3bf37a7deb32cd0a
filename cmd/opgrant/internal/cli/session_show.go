package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/storage"
)

// sessionDetails is what the store and the server keep of a session.
type sessionDetails struct {
	storage.SessionInfo
	LoggedIn       time.Time `json:"logged_in,omitzero"`
	AccessExpires  time.Time `json:"access_token_expires,omitzero"`
	RefreshExpires time.Time `json:"refresh_token_expires,omitzero"`
	Ends           time.Time `json:"ends,omitzero"` // whatever is refreshed
	Role           string    `json:"role,omitempty"`
	MadeFromKeys   []string  `json:"made_from_keys,omitempty"`
	// Scopes and targets of what is made from the session. Nil where nothing but its tokens limits it.
	LimitScopes  []string `json:"limit_scopes,omitzero"`
	LimitTargets []string `json:"limit_targets,omitzero"`
}

func (p *program) sessionShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show SESSION",
		Short: "Show what is stored of a session",
		Long: `Show what is stored of a session: the times of its newest tokens, where it comes from, and what limits it. Nothing of it can be
sent as a token.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				info, err := s.Store.Session(ctx, args[0])
				if err != nil {
					return notFoundAs(err, "no session %q", args[0])
				}
				details, err := newSessionDetails(info)
				if err != nil {
					return err
				}
				return p.print(details.table())
			})
		},
	}
	p.outputFlag(cmd)
	return cmd
}

func newSessionDetails(info storage.SessionInfo) (sessionDetails, error) {
	session, err := authserver.DecodeSession(info.Data)
	if err != nil {
		return sessionDetails{}, fmt.Errorf("session %q: %w", info.ID, err)
	}
	d := sessionDetails{
		SessionInfo: info,
		LoggedIn:    unix(session.LoggedIn), AccessExpires: unix(session.AccessExpires), RefreshExpires: unix(session.RefreshExpires),
		Ends: unix(session.Ends), Role: session.Role, MadeFromKeys: session.MadeFrom,
	}
	if limit := session.Limit; limit != nil {
		if !limit.Scopes.All {
			d.LimitScopes = append([]string{}, limit.Scopes.List...)
		}
		if !limit.Targets.All {
			d.LimitTargets = append([]string{}, limit.Targets.List...)
		}
	}
	return d, nil
}

func (d sessionDetails) table() table {
	t := table{head: []string{"WHAT", "VALUE"}, json: d}
	add := func(what, value string) {
		if value != "" {
			t.rows = append(t.rows, []string{what, value})
		}
	}
	list := func(values []string) string {
		if values != nil && len(values) == 0 {
			return "none"
		}
		return strings.Join(values, " ")
	}
	add("session", d.ID)
	add("user", d.Subject)
	add("client", d.Client)
	add("scopes", strings.Join(d.Scopes, " "))
	add("role", d.Role)
	add("created", stamp(d.Created))
	add("logged in", stamp(d.LoggedIn))
	add("last used", stamp(d.LastUsed))
	add("expires", stamp(d.Expires))
	add("access token expires", stamp(d.AccessExpires))
	add("refresh token expires", stamp(d.RefreshExpires))
	add("ends", stamp(d.Ends))
	add("refreshable", yesNo(d.Refreshable))
	add("made from keys", strings.Join(d.MadeFromKeys, " "))
	add("limited to scopes", list(d.LimitScopes))
	add("limited to targets", list(d.LimitTargets))
	add("address", d.Address)
	add("user agent", d.UserAgent)
	count := func(what string, n int) {
		if n > 0 {
			add(what, strconv.Itoa(n))
		}
	}
	count("number of the refresh token", int(d.RefreshNumber))
	count("listed access tokens", d.ListedTokens)
	count("revoked access tokens", d.RevokedTokens)
	add("record", fmt.Sprintf("version %d, %d bytes", d.RecordVersion, d.RecordSize))
	return t
}

// unix is a time in Unix seconds, where 0 is none.
func unix(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
