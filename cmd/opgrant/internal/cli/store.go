package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/storage"
)

func (p *program) storeCommand() *cobra.Command {
	return group("store", "Create the store in Redis, and see what it holds",
		p.storeInitCommand(), p.storeAcceptLossCommand(), p.storeStatusCommand())
}

func (p *program) storeInitCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Create a new store in an empty Redis, once, before anything else",
		Long: `Create a new store in an empty Redis. Every installation needs it once: servers and commands refuse an
empty Redis, because it may be one that has lost its data. A Redis that holds a store is left as it is.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withStore(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				return p.created(s.Store.Init(ctx), "store created")
			})
		},
	}
}

func (p *program) storeAcceptLossCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "accept-loss",
		Short: "Accept that Redis has lost the store, and begin a new one",
		Long: `Accept that Redis has lost the store, and begin a new one with what is left. First try to restore a backup:
after this command the sessions, users, clients and signing keys that Redis has lost stay lost, and everybody
logs in again. Servers that are running stay unavailable until they are restarted. A Redis that holds a store
is left as it is.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withStore(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				return p.created(s.Store.AcceptLoss(ctx), "loss accepted: what Redis has lost of sessions, users, clients and signing keys stays lost.\n"+
					"Run `opgrant seed` or restore what you have exported, then restart every server: those that are running stay unavailable")
			})
		},
	}
}

func (p *program) created(err error, done string) error {
	switch {
	case errors.Is(err, storage.ErrInitialised):
		return errors.New("redis holds a store already, and it was left as it is; `opgrant store status` shows it. " +
			"A server that says otherwise knew an earlier store: restart it")
	case errors.Is(err, storage.ErrRemains):
		return errors.New("redis holds the remains of a store that has lost data: restore a backup, or see `opgrant store accept-loss --help`")
	case err != nil:
		return p.noAnswer(err)
	}
	p.printf("%s\n", done)
	return nil
}

func (p *program) storeStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show whether there is a store, what it holds, and how Redis is set up to keep it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withStore(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				status, err := s.Store.Status(ctx)
				if err != nil {
					return p.noAnswer(err)
				}
				warnings, err := s.Store.CheckServer(ctx)
				if err != nil {
					return p.noAnswer(err)
				}
				return p.printStatus(status, warnings)
			})
		},
	}
	p.outputFlag(cmd)
	return cmd
}

func (p *program) printStatus(status storage.Status, warnings []string) error {
	t := table{head: []string{"WHAT", "VALUE"}, json: struct {
		storage.Status
		Warnings []string `json:"warnings"`
	}{status, append([]string{}, warnings...)}}
	t.rows = [][]string{
		{"store", map[bool]string{true: "there is one", false: "none"}[status.Initialised]},
		{"clients", strconv.FormatInt(status.Clients, 10)},
		{"users", strconv.FormatInt(status.Users, 10)},
		{"roles", strconv.FormatInt(status.Roles, 10)},
		{"signing keys", yesNo(status.SigningKeys)},
	}
	for _, name := range slices.Sorted(maps.Keys(status.Redis)) {
		t.rows = append(t.rows, []string{"redis " + name, status.Redis[name]})
	}
	if err := p.print(t); err != nil || p.output == "json" {
		return err
	}
	for _, warning := range warnings {
		p.printf("warning: %s\n", warning)
	}
	if !status.Initialised {
		fmt.Fprintln(p.Stderr, "opgrant: "+hintUninitialised)
	}
	return nil
}
