package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/storage/throttle"
)

func (p *program) throttleCommand() *cobra.Command {
	return group("throttle", "List and clear failed logins and wrong client secrets", p.throttleListCommand(), p.throttleClearCommand())
}

func (p *program) throttleListCommand() *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use:   "list [--user NAME]",
		Short: "List the failures that count, and when they are forgotten",
		Long: `List the failures that count of users, networks and clients, the fullest first, with the time until which further attempts
are refused. With --user list those of one user, and the networks that the user has logged in from.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				limits := s.Store.Users.Throttle()
				if !cmd.Flags().Changed("user") {
					list, err := limits.List(ctx)
					if err != nil {
						return err
					}
					return p.print(throttleTable(list, nil))
				}
				list, known, err := limits.ListUser(ctx, user)
				if err != nil {
					return err
				}
				return p.print(throttleTable(list, append([]throttle.Known{}, known...)))
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "what counts of the user with this `name`")
	p.outputFlag(cmd)
	return cmd
}

// throttleTable shows what counts. known is nil where it was not asked for.
func throttleTable(list []throttle.Entry, known []throttle.Known) table {
	list = append([]throttle.Entry{}, list...)
	t := table{head: []string{"KIND", "NAME", "NETWORK", "FAILURES", "LIMIT", "REFUSED UNTIL", "FORGOTTEN"}, json: list}
	for _, e := range list {
		t.rows = append(t.rows, []string{
			e.Kind, e.Name, e.Network, strconv.Itoa(e.Failures), strconv.Itoa(e.Limit), stamp(e.RetryAt), stamp(e.FreeAt),
		})
	}
	if known == nil {
		return t
	}
	t.json = map[string]any{"failures": list, "known_networks": known}
	for _, k := range known {
		t.rows = append(t.rows, []string{"known network", "", k.Network, "", "", "", stamp(k.Until)})
	}
	return t
}

func (p *program) throttleClearCommand() *cobra.Command {
	var user, network, client string
	var forget bool
	cmd := &cobra.Command{
		Use:   "clear (--user NAME | --network CIDR | --client ID)",
		Short: "Forget failures, so that the next attempt is not refused",
		Long: `Forget the failures of a user, a network or a client, so that the next attempt is not refused. Failures of users are not
forgotten with those of their network.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if forget && !cmd.Flags().Changed("user") {
				return errors.New("--known-networks is for --user")
			}
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				limits := s.Store.Users.Throttle()
				var n int
				var err error
				switch {
				case cmd.Flags().Changed("user"):
					n, err = limits.ClearUser(ctx, user, forget)
				case network != "":
					n, err = limits.ClearNetwork(ctx, network)
				default:
					n, err = limits.ClearClient(ctx, client)
				}
				if errors.Is(err, throttle.ErrNetwork) {
					return fmt.Errorf("--network: %q is neither an address nor a network of the size in throttle.ipv4_prefix and ipv6_prefix", network)
				}
				if err != nil {
					return err
				}
				p.printf("%d counters cleared\n", n)
				if forget {
					p.printf("No network is known as the user's\n")
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "failures of the user with this `name`")
	cmd.Flags().StringVar(&network, "network", "", "failures from this `network` or the one of this address")
	cmd.Flags().StringVar(&client, "client", "", "wrong secrets of the client with this `id`")
	cmd.Flags().BoolVar(&forget, "known-networks", false, "forget where the user has logged in from, too")
	cmd.MarkFlagsOneRequired("user", "network", "client")
	cmd.MarkFlagsMutuallyExclusive("user", "network", "client")
	return cmd
}
