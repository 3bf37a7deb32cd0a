package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (p *program) configCommand() *cobra.Command {
	return group("config", "Check and print the configuration",
		&cobra.Command{
			Use:   "check",
			Short: "Report all problems of the configuration",
			Args:  cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				if _, err := p.load(); err != nil {
					fmt.Fprintln(p.Stderr, err)
					return ExitCode(1)
				}
				fmt.Fprintln(p.Stdout, "the configuration is valid")
				return nil
			},
		},
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
