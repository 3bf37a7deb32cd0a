package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
)

func (p *program) tokenCommand() *cobra.Command {
	return group("token", "Inspect tokens", p.tokenInspectCommand())
}

func (p *program) tokenInspectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Decode and check a token, and explain why it is invalid (- is standard input)",
		Long: `Decode and check a token of any kind that this server issues, and explain why it is invalid. It is read from a file or
from standard input, because anyone who sees a valid token can use it. The exit code is 0 for a valid token and 1 for an
invalid one.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := p.readSecret(args[0], "token")
			if err != nil {
				return err
			}
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				if err := s.Keys.Load(ctx); err != nil {
					return err
				}
				found, err := inspect(ctx, s, strings.TrimSpace(token))
				if err != nil {
					return err
				}
				if err := p.printInspection(found); err != nil {
					return err
				}
				if !found.Valid {
					return ExitCode(1)
				}
				return nil
			})
		},
	}
	p.outputFlag(cmd)
	return cmd
}

func (p *program) printInspection(i *inspection) error {
	t := table{head: []string{"TOKEN", i.Kind}, json: i}
	result := "valid"
	if !i.Valid {
		result = "INVALID"
	}
	t.rows = append(t.rows, []string{"result", result})
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

// claimText shows times as dates too.
func claimText(name string, value any) string {
	if seconds, ok := value.(float64); ok && slices.Contains([]string{"exp", "iat", "nbf", "auth_time"}, name) {
		return fmt.Sprintf("%.0f (%s)", seconds, stamp(time.Unix(int64(seconds), 0)))
	}
	return fmt.Sprint(value)
}
