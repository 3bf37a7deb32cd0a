package main

import "github.com/spf13/cobra"

func (p *program) commands() []*cobra.Command {
	return []*cobra.Command{
		p.configCommand(),
		p.healthcheckCommand(),
		p.versionCommand(),
	}
}
