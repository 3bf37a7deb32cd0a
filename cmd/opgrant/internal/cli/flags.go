package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// setting adds a flag that overrides a key of the configuration. Its value is validated with the configuration.
func (p *program) setting(flags *pflag.FlagSet, name, key, usage string) {
	flags.Var(&settingFlag{set: func(value string) { p.flags[key] = value }}, name, usage)
}

// switchSetting is setting for a key that is true or false.
func (p *program) switchSetting(flags *pflag.FlagSet, name, key, usage string) {
	f := flags.VarPF(&settingFlag{set: func(value string) { p.flags[key] = value }}, name, "", usage)
	f.NoOptDefVal = "true"
}

type settingFlag struct {
	value string
	set   func(string)
}

func (f *settingFlag) String() string { return f.value }
func (f *settingFlag) Type() string   { return "string" }

func (f *settingFlag) Set(value string) error {
	f.value = value
	f.set(value)
	return nil
}

// choice is a flag with a fixed set of values; the first is the default.
type choice struct {
	value   *string
	allowed []string
}

func newChoice(value *string, allowed ...string) *choice {
	*value = allowed[0]
	return &choice{value: value, allowed: allowed}
}

func (c *choice) String() string { return *c.value }
func (c *choice) Type() string   { return strings.Join(c.allowed, "|") }

func (c *choice) Set(value string) error {
	if !slices.Contains(c.allowed, value) {
		return fmt.Errorf("not one of %s", strings.Join(c.allowed, ", "))
	}
	*c.value = value
	return nil
}

func (p *program) outputFlag(cmd *cobra.Command) {
	cmd.Flags().VarP(newChoice(&p.output, "table", "json"), "output", "o", "form of the output")
}
