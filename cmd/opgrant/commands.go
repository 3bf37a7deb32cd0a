package main

import "github.com/spf13/cobra"

func (p *program) commands() []*cobra.Command {
	return []*cobra.Command{
		p.clientCommand(),
		p.configCommand(),
		p.healthcheckCommand(),
		p.importCommand(),
		p.keyCommand(),
		p.migrationCommand(),
		p.seedCommand(),
		p.serveCommand(),
		p.sessionCommand(),
		p.tokenCommand(),
		p.userCommand(),
		p.versionCommand(),
	}
}
