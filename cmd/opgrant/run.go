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
	root := &cobra.Command{
		Use:           "opgrant",
		Short:         "OAuth 2.0 for new clients and operation tokens for old ones, from one user directory on Redis",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.PersistentFlags().StringVar(&p.configPath, "config", "", "YAML `file` with the configuration (OPGRANT_CONFIG)")
	p.setting(root.PersistentFlags(), "redis", "redis.url", "`address` of Redis (OPGRANT_REDIS)")
	root.AddCommand(p.commands()...)
	return root
}

// load reads the configuration as this command line wants it.
func (p *program) load() (*config.Config, error) {
	src := config.Source{Path: p.configPath, Environ: p.environ, Flags: p.flags}
	if p.dev {
		src.Base = config.Dev()
	}
	return config.Load(src)
}
