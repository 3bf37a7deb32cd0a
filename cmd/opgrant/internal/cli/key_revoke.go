package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/storage"
)

// keyRevocation is what revoking a key did, or would do.
type keyRevocation struct {
	ID        string    `json:"kid"`
	Algorithm string    `json:"alg"`
	Stage     string    `json:"stage"` // before
	Revoked   time.Time `json:"revoked,omitzero"`
	Signer    string    `json:"signer,omitempty"` // signs for the algorithm; empty in a dry run: a key that is not made yet
	Sessions  int       `json:"sessions"`
	DryRun    bool      `json:"dry_run"`
}

func (p *program) keyRevokeCommand() *cobra.Command {
	var dryRun, yes bool
	cmd := &cobra.Command{
		Use: "revoke KID",
		Example: "  opgrant key revoke --dry-run Ln423U0HvvLBVjMh2XUJCDrEujl0L1un-rXMmopi8Y4\n" +
			"  opgrant key revoke --yes -- -UcQPQushznQtaD2AQKy7XPZzcF9hWFNYJxl4IaE6Sp  # an ID that begins with a dash",
		Short: "Take a key out of the set for good, for example after a leak, and end what depends on it",
		Long: `Take a key out of the set for good. It leaves the published key set at once, every token that it signed is refused by every
server at most five seconds later, and it cannot be imported again. Sessions whose refresh token it signed, or that began with a
token that it signed, end. Sessions with an opaque refresh token go on: their next refresh is signed with another key.

If it is the key that signs, the next key of its algorithm takes its place at once, or a new one if none is waiting. Verifiers
that cache the key set must fetch it again for a key ID that they do not know; what they accept until they fetch it is up to
them. Running the command again ends the sessions that are left.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				plan, err := planRevocation(ctx, s, args[0])
				if err != nil {
					return err
				}
				plan.DryRun = dryRun
				if dryRun {
					if plan.Sessions, err = countSessions(ctx, s, plan.ID); err != nil {
						return err
					}
					return p.printRevocation(plan)
				}
				if !yes {
					if err := p.confirmRevocation(ctx, s, plan); err != nil {
						return err
					}
				}
				return p.revokeKey(ctx, s, plan)
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only tell what would happen")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	p.outputFlag(cmd)
	return cmd
}

// planRevocation finds the key, and the one that will sign in its place.
func planRevocation(ctx context.Context, s *opgrant.Server, id string) (keyRevocation, error) {
	list, err := s.Keys.List(ctx)
	if err != nil {
		return keyRevocation{}, err
	}
	i := slices.IndexFunc(list, func(k keys.Info) bool { return k.ID == id })
	if i < 0 {
		return keyRevocation{}, fmt.Errorf("no key %q", id)
	}
	key := list[i]
	plan := keyRevocation{ID: id, Algorithm: key.Algorithm, Stage: key.Stage}
	if key.Stage == "revoked" {
		plan.Revoked = key.Ends
	}
	for _, k := range list { // the one that activates last comes first
		switch {
		case k.Algorithm != key.Algorithm || k.ID == id:
		case k.Stage == "next" && key.Stage == "active", k.Stage == "active":
			plan.Signer = k.ID
		}
	}
	return plan, nil
}

func (p *program) confirmRevocation(ctx context.Context, s *opgrant.Server, plan keyRevocation) error {
	terminal, ok := p.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return errors.New("no terminal to ask at: --dry-run tells what would happen, --yes does it")
	}
	n, err := countSessions(ctx, s, plan.ID)
	if err != nil {
		return fmt.Errorf("%w (--yes revokes the key without counting them first)", err)
	}
	plan.Sessions, plan.DryRun = n, true
	plan.write(p.Stderr)
	fmt.Fprint(p.Stderr, "Revoke it? This cannot be taken back. [y/N] ")
	answer, err := bufio.NewReader(terminal).ReadString('\n')
	if err != nil || !strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "y") {
		return errors.New("nothing was changed")
	}
	return nil
}

// revokeKey takes the key out first, and then ends sessions: the other way round new ones could begin.
func (p *program) revokeKey(ctx context.Context, s *opgrant.Server, done keyRevocation) error {
	signer, err := s.Keys.Revoke(ctx, done.ID)
	if err != nil {
		return fmt.Errorf("the key may not be revoked, run the command again: %w", err)
	}
	done.Signer = signer
	if done.Sessions, err = endSessionsOn(ctx, s, done.ID); err != nil {
		return fmt.Errorf("the key is revoked and %d sessions have ended, but not all; run the command again: %w", done.Sessions, err)
	}
	return p.printRevocation(done)
}

func countSessions(ctx context.Context, s *opgrant.Server, kid string) (int, error) {
	list, err := sessionsOn(ctx, s, kid)
	return len(list), err
}

func endSessionsOn(ctx context.Context, s *opgrant.Server, kid string) (ended int, err error) {
	list, err := sessionsOn(ctx, s, kid)
	if err != nil {
		return 0, fmt.Errorf("list sessions: %w", err)
	}
	for i, id := range list {
		if err := s.Store.RevokeSession(ctx, id); err != nil {
			return i, err
		}
	}
	return len(list), nil
}

// sessionsOn returns the IDs of the sessions that depend on a key.
func sessionsOn(ctx context.Context, s *opgrant.Server, kid string) ([]string, error) {
	var ids []string
	err := s.Store.EachSession(ctx, func(info storage.SessionInfo) error {
		depends, err := authserver.DependsOnKey(info.Data, kid)
		if depends {
			ids = append(ids, info.ID)
		}
		return err
	})
	return ids, err
}

func (p *program) printRevocation(r keyRevocation) error {
	if p.output == "json" {
		return p.printJSON(r)
	}
	if r.DryRun {
		fmt.Fprintln(p.Stderr, "dry run: nothing was changed")
	}
	r.write(p.Stdout)
	return nil
}

// write tells in sentences what happened, or would happen.
func (r keyRevocation) write(w io.Writer) {
	will := r.DryRun && r.Revoked.IsZero()
	switch {
	case !r.Revoked.IsZero():
		fmt.Fprintf(w, "key %s (%s) was revoked already, at %s\n", r.ID, r.Algorithm, stamp(r.Revoked))
	case will:
		fmt.Fprintf(w, "key %s (%s, %s) would be revoked, and every token that it signed refused\n", r.ID, r.Algorithm, r.Stage)
	default:
		fmt.Fprintf(w, "key %s (%s, %s) is revoked; every token that it signed is refused, by every server in five seconds at the latest\n",
			r.ID, r.Algorithm, r.Stage)
	}
	switch {
	case will && r.Signer == "" && r.Stage == "active":
		fmt.Fprintf(w, "a new key would sign %s at once\n", r.Algorithm)
	case will && r.Signer != "":
		fmt.Fprintf(w, "key %s would sign %s\n", r.Signer, r.Algorithm)
	case r.Signer != "":
		fmt.Fprintf(w, "key %s signs %s; verifiers that cache the key set must fetch it again for a key ID that they do not know\n",
			r.Signer, r.Algorithm)
	}
	if r.DryRun {
		fmt.Fprintf(w, "%d sessions would end\n", r.Sessions)
	} else {
		fmt.Fprintf(w, "%d sessions ended\n", r.Sessions)
	}
}
