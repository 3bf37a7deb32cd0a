package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant/cmd/opgrant/internal/server"
	"github.com/opgrant/opgrant/config"
)

// Program is what a command line gets from the process.
type Program struct {
	Version string   // empty: that of the build
	Environ []string // KEY=VALUE pairs, as os.Environ returns them
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
}

// Run runs one command line, without the name of the program. It returns when the command is done, or soon after ctx has ended.
func (p Program) Run(ctx context.Context, args []string) error {
	root := (&program{Program: p}).root()
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

// ExitCode is an error that has been reported already. The process ends with the code.
type ExitCode int

// Error names the code.
func (c ExitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// program is the state that all commands share.
type program struct {
	Program

	configPath string
	flags      map[string]string // :: configuration key → value given on the command line
	dev        bool
	output     string
	redisURL   config.RedisURL // that a command uses, for what it says
}

func (p *program) root() *cobra.Command {
	p.flags = map[string]string{}
	root := group("opgrant", "Run and administer an OAuth 2.0 server that also implements HarperDB's token operations",
		p.clientCommand(),
		p.configCommand(),
		p.healthcheckCommand(),
		p.importCommand(),
		p.keyCommand(),
		p.migrationCommand(),
		p.seedCommand(),
		p.serveCommand(),
		p.sessionCommand(),
		p.storeCommand(),
		p.throttleCommand(),
		p.tokenCommand(),
		p.userCommand(),
		p.versionCommand(),
	)
	root.SilenceUsage, root.SilenceErrors = true, true
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.PersistentFlags().StringVar(&p.configPath, "config", "", "YAML `file` with the configuration (OPGRANT_CONFIG)")
	p.setting(root.PersistentFlags(), "redis", "redis.url", "`address` of Redis (OPGRANT_REDIS)")
	return root
}

// group is a command that only has subcommands.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.ErrOrStderr())
			if err := cmd.Usage(); err != nil {
				return err
			}
			return ExitCode(2)
		},
	}
	cmd.AddCommand(commands...)
	return cmd
}

// load reads the configuration from the flags, the environment and the file.
func (p *program) load() (*config.Config, error) {
	src := config.Source{Path: p.configPath, Environ: p.Environ, Flags: p.flags, CheckClient: server.CheckClient, CheckUser: server.CheckUser}
	if p.dev {
		src.Base = config.Dev()
	}
	return config.Load(src)
}
