package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/storage/usage"
)

func (p *program) migrationCommand() *cobra.Command {
	return group("migration", "Follow the migration of clients to the OAuth endpoints", p.migrationReportCommand())
}

func (p *program) migrationReportCommand() *cobra.Command {
	var idle time.Duration
	cmd := &cobra.Command{
		Use:   "report",
		Short: "List the callers of both APIs, and tell whether the operations API can be switched off",
		Long: `List the callers of both APIs, and tell whether the operations API can be switched off: "yes" only if its calls have been
counted for --idle and no verified caller has used it since.

Callers are told apart by client, user, user agent and address; "*" stands for further ones, and "-" for what is not known.
Only callers whose password or token was right are counted, and no calls that were answered 503. Counting starts anew when
the counts are lost, or when no server has run for a day.

Exit codes: 0 yes, 3 not yet or not known yet, 4 no, 1 for errors.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if idle <= 0 || idle > usage.Memory {
				return fmt.Errorf("--idle: %s is not between 0 and %s, after which callers are forgotten", idle, days(usage.Memory))
			}
			decision := ""
			err := p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				counted, err := s.Usage.Report(ctx)
				if err != nil {
					return err
				}
				m := newMigration(counted, idle, time.Now())
				decision = m.Decision
				return p.printMigration(m)
			})
			if code := exitCodes[decision]; err == nil && code != 0 {
				return code
			}
			return err
		},
	}
	cmd.Flags().DurationVar(&idle, "idle", 30*24*time.Hour, "how long nobody must have called, 2160h (90 days) at most")
	p.outputFlag(cmd)
	return cmd
}

// apiNames are how the report names the APIs.
var apiNames = map[string]string{usage.APIOperations: "operations API", usage.APIOAuth: "OAuth endpoints"}

func (p *program) printMigration(m *migration) error {
	t := table{head: []string{"API", "CLIENT", "USER", "USER AGENT", "ADDRESS", "CALLS", "SINCE", "LAST"}, json: m}
	for _, u := range m.Uses {
		t.rows = append(t.rows, []string{
			apiNames[u.API], u.Client, u.User, u.UserAgent, u.Address, strconv.FormatInt(u.Count, 10), stamp(u.First), stamp(u.Last),
		})
	}
	if err := p.print(t); err != nil || p.output == "json" {
		return err
	}
	if m.Since != nil {
		p.printf("\nCalls of the operations API have been counted since %s, last at %s.\n", stamp(*m.Since), stamp(*m.Until))
	} else {
		p.printf("\nCalls of the operations API have not been counted.\n")
	}
	p.printf("Can the operations API be switched off? %s\n", m.answer())
	return nil
}
