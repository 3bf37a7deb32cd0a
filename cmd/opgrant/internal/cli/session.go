package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/storage"
)

func (p *program) sessionCommand() *cobra.Command {
	return group("session", "List and end sessions", p.sessionListCommand(), p.sessionShowCommand(), p.sessionRevokeCommand())
}

func (p *program) sessionListCommand() *cobra.Command {
	var user, client string
	cmd := &cobra.Command{
		Use:   "list (--user NAME | --client ID)",
		Short: "List the sessions of a user or a client",
		Long: `List the sessions of a user or a client. With --client alone every session of the store is visited, which takes some
seconds for a million.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				list := []storage.SessionInfo{}
				found, err := sessionsOf(ctx, s, user, client)
				if err != nil {
					return err
				}
				list = append(list, found...)
				return p.print(sessionTable(list))
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "sessions of the user with this `name`")
	cmd.Flags().StringVar(&client, "client", "", "sessions at the client with this `id`")
	cmd.MarkFlagsOneRequired("user", "client")
	p.outputFlag(cmd)
	return cmd
}

// sessionsOf lists the sessions of a user, of a client, or of a user at a client.
func sessionsOf(ctx context.Context, s *opgrant.Server, user, client string) ([]storage.SessionInfo, error) {
	if user == "" {
		return s.Store.SessionsAt(ctx, client)
	}
	all, err := s.Store.SessionsOf(ctx, user)
	if client == "" || err != nil {
		return all, err
	}
	var list []storage.SessionInfo
	for _, info := range all {
		if info.Client == client {
			list = append(list, info)
		}
	}
	return list, nil
}

func sessionTable(list []storage.SessionInfo) table {
	t := table{head: []string{"SESSION", "USER", "CLIENT", "CREATED", "LAST USED", "EXPIRES", "ADDRESS", "USER AGENT", "REFRESHABLE"}, json: list}
	for _, s := range list {
		t.rows = append(t.rows, []string{
			s.ID, s.Subject, s.Client, stamp(s.Created), stamp(s.LastUsed), stamp(s.Expires), s.Address, s.UserAgent, yesNo(s.Refreshable),
		})
	}
	return t
}

func (p *program) sessionRevokeCommand() *cobra.Command {
	var user, client string
	cmd := &cobra.Command{
		Use:   "revoke (SESSION… | --user NAME | --client ID)",
		Short: "End sessions and revoke their tokens",
		Long: `End sessions and revoke their tokens. With --user all tokens of the user end that were issued so far: also of sessions
that no list shows, and those of an imported server. With --client all sessions at the client end.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 0) == (user == "" && client == "") {
				return errors.New("name sessions, a user or a client")
			}
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				ended, err := revoke(ctx, s, args, user, client)
				if err != nil {
					return err
				}
				p.printf("%d sessions ended\n", ended)
				if user != "" && client == "" {
					p.printf("No token that %s has so far is valid, those of another server included\n", user)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "all sessions of the user with this `name`")
	cmd.Flags().StringVar(&client, "client", "", "all sessions at the client with this `id`")
	return cmd
}

func revoke(ctx context.Context, s *opgrant.Server, ids []string, user, client string) (int, error) {
	for i, id := range ids {
		if _, err := s.Store.Session(ctx, id); err != nil {
			return i, notFoundAs(err, "no session %q", id)
		}
		if err := s.Store.RevokeSession(ctx, id); err != nil {
			return i, err
		}
	}
	switch {
	case len(ids) > 0:
		return len(ids), nil
	case user == "":
		return s.Store.RevokeClient(ctx, client)
	}
	list, err := sessionsOf(ctx, s, user, client)
	if err != nil {
		return 0, err
	}
	if client == "" {
		return len(list), s.Store.RevokeSubject(ctx, user)
	}
	for i, info := range list {
		if err := s.Store.RevokeSession(ctx, info.ID); err != nil {
			return i, err
		}
	}
	return len(list), nil
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
