package cli

import (
	"context"
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
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				uses, err := s.Usage.Report(ctx)
				if err != nil {
					return err
				}
				return p.printMigration(newMigration(uses, time.Now().Add(-idle)), idle)
			})
		},
	}
	cmd.Flags().DurationVar(&idle, "idle", 30*24*time.Hour, "ignore callers of the operations API that have not called for this long")
	p.outputFlag(cmd)
	return cmd
}

// migration is the use of both APIs in the last 90 days.
type migration struct {
	Uses            []usage.Entry `json:"uses"`
	StillLegacy     int           `json:"still_legacy"` // recent callers of the operations API
	SafeToSwitchOff bool          `json:"safe_to_switch_off"`
}

// newMigration counts the callers of the operations API since a time.
func newMigration(uses []usage.Entry, since time.Time) *migration {
	m := &migration{Uses: append([]usage.Entry{}, uses...)}
	for _, u := range uses {
		if u.API == usage.APIOperations && u.Last.After(since) {
			m.StillLegacy++
		}
	}
	m.SafeToSwitchOff = m.StillLegacy == 0
	return m
}

// apiNames are how the report names the APIs.
var apiNames = map[string]string{usage.APIOperations: "operations API", usage.APIOAuth: "OAuth endpoints"}

func (p *program) printMigration(m *migration, idle time.Duration) error {
	t := table{head: []string{"API", "CLIENT", "USER", "USER AGENT", "CALLS", "SINCE", "LAST"}, json: m}
	for _, u := range m.Uses {
		t.rows = append(t.rows, []string{
			apiNames[u.API], u.Client, u.User, u.UserAgent, strconv.FormatInt(u.Count, 10), stamp(u.First), stamp(u.Last),
		})
	}
	if err := p.print(t); err != nil || p.output == "json" {
		return err
	}
	if m.SafeToSwitchOff {
		p.printf("\nSafe to switch off: nobody has called the operations API for %s.\n", idle)
	} else {
		p.printf("\nNot safe to switch off: %d callers have used the operations API within %s.\n", m.StillLegacy, idle)
	}
	return nil
}
