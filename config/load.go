package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"

	"github.com/opgrant/opgrant/authserver/policy"
)

// Source is where a configuration comes from.
type Source struct {
	// Base has the values of settings that no layer sets. Nil: Default().
	Base *Config
	// CheckClient reports what is wrong with one client, by the keys of its entry. The package itself does not know what
	// clients may do. Nil: clients are not checked.
	CheckClient func(Client) policy.Problems
	// CheckUser reports what is wrong with one user who is to be created, by the keys of the entry. Nil: not checked.
	CheckUser func(User, Passwords) policy.Problems
	// Path names the YAML file. Empty: the file that OPGRANT_CONFIG names, or none.
	Path string
	// Environ holds KEY=VALUE pairs, as os.Environ returns them.
	Environ []string
	// Flags :: key as in the file, "admin_listen" → value given on the command line.
	Flags map[string]string
}

// Load lays the layers over the base and validates the result. When there are problems it returns all of them, joined, and no
// Config.
func Load(src Source) (*Config, error) {
	all := koanf.New(".")
	var problems []error
	var secretFiles []string
	for i, read := range []func(Source) (map[string]any, []error){readFile, readEnv, readFlags} {
		layer, errs := read(src)
		problems = append(problems, errs...)
		secrets, errs := resolve(layer)
		problems = append(problems, errs...)
		if path, _ := src.file(); i == 0 && secrets.inLayer {
			secretFiles = append(secretFiles, path)
		}
		secretFiles = append(secretFiles, secrets.files...)
		if err := all.Load(provided(layer), nil); err != nil {
			problems = append(problems, fmt.Errorf("config: %w", err))
		}
	}

	cfg := Default()
	if src.Base != nil {
		*cfg = *src.Base
	}
	problems = append(problems, decode(all.Raw(), cfg)...)
	cfg.SecretFiles = secretFiles
	if err := cfg.validate(src); err != nil {
		problems = append(problems, err)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return cfg, nil
}

// provided is a koanf provider of a map.
type provided map[string]any

func (p provided) ReadBytes() ([]byte, error)    { return nil, errors.ErrUnsupported }
func (p provided) Read() (map[string]any, error) { return p, nil }

const pathVariable = envPrefix + "CONFIG"

// file returns the path of the configuration file, and the setting that names it.
func (src Source) file() (path, origin string) {
	if src.Path != "" {
		return src.Path, "--config"
	}
	return lookup(src.Environ, pathVariable), pathVariable
}

func readFile(src Source) (map[string]any, []error) {
	path, origin := src.file()
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
	if err != nil {
		return nil, []error{fmt.Errorf("%s: %w", origin, err)}
	}
	layer, err := yaml.Parser().Unmarshal(raw)
	if err != nil {
		return nil, []error{fmt.Errorf("%s: %w", path, err)}
	}
	// redis: is the block, or in short its address alone.
	if address, ok := layer["redis"].(string); ok {
		layer["redis"] = map[string]any{"url": address}
	}
	return layer, nil
}

func readEnv(src Source) (map[string]any, []error) {
	paths := map[string]string{} // :: variable → path in the file
	for _, k := range keys() {
		if k.env == "" {
			continue
		}
		paths[k.env] = k.path
		if k.fileBacked() {
			paths[k.env+"_FILE"] = k.path + "_file"
		}
	}
	var problems []error
	layer, err := env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return slices.Sorted(slices.Values(src.Environ)) },
		TransformFunc: func(name, value string) (string, any) {
			path, known := paths[name]
			switch {
			case value == "" || name == pathVariable || strings.HasPrefix(name, envPrefix+"TEST_"):
				return "", nil
			case !known:
				problems = append(problems, fmt.Errorf("%s: no such setting", name))
				return "", nil
			}
			return path, value
		},
	}).Read()
	if err != nil {
		problems = append(problems, fmt.Errorf("environment: %w", err))
	}
	return layer, problems
}

func readFlags(src Source) (map[string]any, []error) {
	k := koanf.New(".")
	var problems []error
	for path, value := range src.Flags {
		if err := k.Set(path, value); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", path, err))
		}
	}
	return k.Raw(), problems
}

func lookup(environ []string, name string) string {
	for _, pair := range environ {
		if key, value, _ := strings.Cut(pair, "="); key == name {
			return value
		}
	}
	return ""
}
