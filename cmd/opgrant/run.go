package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant/config"
)

// run is the program with its world as arguments. It returns when the command is done, or soon after ctx has ended.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) error {
	p := &program{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	root := p.root()
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

// program is what all commands share.
type program struct {
	environ []string
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer

	configPath string
	flags      map[string]string // :: configuration key → value given on the command line
	dev        bool
	output     string
}

func (p *program) root() *cobra.Command {
	p.flags = map[string]string{}
	root := group("opgrant", "OAuth 2.0 for new clients and operation tokens for old ones, from one user directory on Redis", p.commands()...)
	root.SilenceUsage, root.SilenceErrors = true, true
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.PersistentFlags().StringVar(&p.configPath, "config", "", "YAML `file` with the configuration (OPGRANT_CONFIG)")
	p.setting(root.PersistentFlags(), "redis", "redis.url", "`address` of Redis (OPGRANT_REDIS)")
	return root
}

// group is a command that only holds others.
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
			return exitCode(2)
		},
	}
	cmd.AddCommand(commands...)
	return cmd
}

// load reads the configuration as this command line wants it.
func (p *program) load() (*config.Config, error) {
	src := config.Source{Path: p.configPath, Environ: p.environ, Flags: p.flags}
	if p.dev {
		src.Base = config.Dev()
	}
	return config.Load(src)
}
