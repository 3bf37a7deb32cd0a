package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/storage/usage"
)

// doorMeter tells the meter and the metrics who came in by which door.
type doorMeter struct {
	*metrics
	meter  *usage.Counter
	legacy string // the client in whose name the legacy door logs in
}

// issued counts a token response. Those of the legacy door are counted there.
func (d doorMeter) issued(u authserver.TokenIssued) {
	d.metrics.issued(u)
	if u.Client != d.legacy {
		d.meter.Count(usage.APIOAuth, u.Client, u.Subject, u.UserAgent)
	}
}

// operation counts an operation of somebody who is known: what strangers send says nothing about who has to move.
func (d doorMeter) operation(ctx context.Context, u compat.OperationServed) {
	d.metrics.operation(ctx, u)
	if u.User != "" {
		d.meter.Count(usage.APIOperations, d.legacy, u.User, u.UserAgent)
	}
}

func (p *program) migrationCommand() *cobra.Command {
	return group("migration", "Follow the move from operations to OAuth 2.0", p.migrationReportCommand())
}

func (p *program) migrationReportCommand() *cobra.Command {
	var idle time.Duration
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Say who still calls the legacy door, since when, and whether it can be switched off",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withState(cmd.Context(), func(ctx context.Context, s *state) error {
				uses, err := s.meter.Report(ctx)
				if err != nil {
					return err
				}
				return p.printMigration(newMigration(uses, time.Now().Add(-idle)), idle)
			})
		},
	}
	cmd.Flags().DurationVar(&idle, "idle", 30*24*time.Hour, "who has not called for so long has left")
	p.outputFlag(cmd)
	return cmd
}

// migration is who came in by which door in the last 90 days.
type migration struct {
	Uses            []usage.Entry `json:"uses"`
	StillLegacy     int             `json:"still_legacy"` // callers of the legacy door that have not left
	SafeToSwitchOff bool            `json:"safe_to_switch_off"`
}

func newMigration(uses []usage.Entry, left time.Time) *migration {
	m := &migration{Uses: append([]usage.Entry{}, uses...)}
	for _, u := range uses {
		if u.API == usage.APIOperations && u.Last.After(left) {
			m.StillLegacy++
		}
	}
	m.SafeToSwitchOff = m.StillLegacy == 0
	return m
}

func (p *program) printMigration(m *migration, idle time.Duration) error {
	t := table{head: []string{"API", "CLIENT", "USER", "USER AGENT", "CALLS", "SINCE", "LAST"}, json: m}
	for _, u := range m.Uses {
		t.rows = append(t.rows, []string{u.API, u.Client, u.User, u.UserAgent, strconv.FormatInt(u.Count, 10), stamp(u.First), stamp(u.Last)})
	}
	if err := p.print(t); err != nil || p.output == "json" {
		return err
	}
	if m.SafeToSwitchOff {
		fmt.Fprintf(p.stdout, "\nSafe to switch off: nobody has called the legacy door for %s.\n", idle)
	} else {
		fmt.Fprintf(p.stdout, "\nNot safe to switch off: %d callers have used the legacy door within %s.\n", m.StillLegacy, idle)
	}
	return nil
}
