package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant/cmd/opgrant/internal/server"
	"github.com/opgrant/opgrant/config"
)

func (p *program) configCommand() *cobra.Command {
	return group("config", "Check and print the configuration",
		p.configCheckCommand(),
		&cobra.Command{
			Use:   "print",
			Short: "Print the configuration in force, without its secrets",
			Args:  cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				cfg, err := p.load()
				if err != nil {
					return err
				}
				text, err := cfg.Redacted()
				if err != nil {
					return err
				}
				fmt.Fprint(p.Stdout, text)
				return nil
			},
		},
	)
}

func (p *program) configCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Report all problems of the configuration for which serve would not start, and what it would warn of",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.load()
			var warnings []config.Warning
			if err == nil {
				warnings, err = server.Check(cmd.Context(), cfg)
			}
			for _, w := range warnings {
				fmt.Fprintf(p.Stderr, "warning: %s (%s)\n", w.Text, w.Name)
			}
			if err != nil {
				fmt.Fprintln(p.Stderr, err)
				return ExitCode(1)
			}
			if cfg.Strict && len(warnings) > 0 {
				fmt.Fprintln(p.Stderr, "strict: the warnings are errors; accept_warnings lists those without a risk here")
				return ExitCode(1)
			}
			fmt.Fprintln(p.Stdout, "the configuration is valid")
			return nil
		},
	}
	p.switchSetting(cmd.Flags(), "strict", "strict", "exit with code 1 where there is a warning (OPGRANT_STRICT)")
	return cmd
}
