package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (p *program) configCommand() *cobra.Command {
	return group("config", "Check and show the configuration",
		&cobra.Command{
			Use:   "check",
			Short: "Report everything that is wrong with the configuration, at once",
			Args:  cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				if _, err := p.load(); err != nil {
					fmt.Fprintln(p.stderr, err)
					return exitCode(1)
				}
				fmt.Fprintln(p.stdout, "the configuration is valid")
				return nil
			},
		},
		&cobra.Command{
			Use:   "print",
			Short: "Show the configuration in force, with the secrets blacked out",
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
				fmt.Fprint(p.stdout, text)
				return nil
			},
		},
	)
}
