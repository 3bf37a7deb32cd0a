package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Fosite   string `json:"fosite,omitempty"`
	Go       string `json:"go"`
}

// currentVersion describes this build. An empty version is replaced by that of the module.
func currentVersion(version string) versionInfo {
	info := versionInfo{Version: version, Go: runtime.Version()}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	if info.Version == "" {
		info.Version = build.Main.Version
	}
	if info.Version == "" {
		info.Version = "(devel)"
	}
	for _, s := range build.Settings {
		if s.Key == "vcs.revision" {
			info.Revision = s.Value
		}
	}
	for _, dep := range build.Deps {
		if dep.Path == "github.com/ory/fosite" {
			info.Fosite = dep.Version
		}
	}
	return info
}

func (p *program) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of the program and what it was built from",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := currentVersion(p.Version)
			return p.print(table{
				head: []string{"OPGRANT", "REVISION", "FOSITE", "GO"},
				rows: [][]string{{v.Version, v.Revision, v.Fosite, v.Go}},
				json: v,
			})
		},
	}
	p.outputFlag(cmd)
	return cmd
}
