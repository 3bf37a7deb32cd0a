package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant/cmd/opgrant/internal/server"
	"github.com/opgrant/opgrant/config"
)

func (p *program) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server: the operations API on POST /, the OAuth endpoints on /oauth2/…",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.load()
			if err != nil {
				return err
			}
			if p.dev && cfg.Redis.URL != config.Default().Redis.URL {
				return errors.New("serve --dev keeps its state in memory and does not use --redis or OPGRANT_REDIS; " +
					"for a development server on Redis run `opgrant seed --dev`, then `opgrant serve`")
			}
			return server.Run(cmd.Context(), cfg, server.Options{Dev: p.dev, Stdout: p.Stdout, Stderr: p.Stderr})
		},
	}
	flags := cmd.Flags()
	p.setting(flags, "listen", "listen", "`address` of both APIs (OPGRANT_LISTEN, default 127.0.0.1:9925)")
	p.setting(flags, "admin-listen", "admin_listen", "`address` of metrics (and profiles with admin.pprof), or off (OPGRANT_ADMIN_LISTEN, default 127.0.0.1:9926)")
	p.setting(flags, "issuer", "issuer", "`URL` that names this server in tokens (OPGRANT_ISSUER)")
	p.setting(flags, "log-level", "log.level", "debug, info, warn or error (OPGRANT_LOG_LEVEL)")
	p.setting(flags, "log-format", "log.format", "json or text (OPGRANT_LOG_FORMAT)")
	p.switchSetting(flags, "strict", "strict", "refuse to start where there would be a warning (OPGRANT_STRICT)")
	p.switchSetting(flags, "remove-clients", "remove_clients", "remove clients that are not in the configuration (OPGRANT_REMOVE_CLIENTS)")
	flags.BoolVar(&p.dev, "dev", false, "keep the state in memory, and create a user and clients for trying both APIs")
	return cmd
}
