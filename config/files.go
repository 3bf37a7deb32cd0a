package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
)

// resolve reports keys of a layer that do not exist, and replaces every NAME_file by NAME with the content of that file.
func resolve(layer map[string]any) []error {
	return resolveStruct(layer, reflect.TypeFor[Config](), "")
}

func resolveStruct(raw map[string]any, t reflect.Type, prefix string) []error {
	var problems []error
	known := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("koanf")
		known[name] = true
		switch {
		case isFileBacked(f.Type):
			if err := resolveFile(raw, f.Type, name, prefix); err != nil {
				problems = append(problems, err)
			}
		case f.Type.Kind() == reflect.Struct:
			if block, ok := raw[name].(map[string]any); ok {
				problems = append(problems, resolveStruct(block, f.Type, prefix+name+".")...)
			}
		case isStructSlice(f.Type):
			list, _ := raw[name].([]any)
			for i, entry := range list {
				if block, ok := entry.(map[string]any); ok {
					problems = append(problems, resolveStruct(block, f.Type.Elem(), fmt.Sprintf("%s%s[%d].", prefix, name, i))...)
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		if !known[name] {
			problems = append(problems, fmt.Errorf("%s%s: no such setting", prefix, name))
		}
	}
	return problems
}

func resolveFile(raw map[string]any, t reflect.Type, name, prefix string) error {
	fileKey := name + "_file"
	value, given := raw[fileKey]
	if !given {
		return nil
	}
	delete(raw, fileKey)
	if _, both := raw[name]; both {
		return fmt.Errorf("%s%s: set beside %s%s; set one of them", prefix, fileKey, prefix, name)
	}
	if t == secretsType {
		paths, ok := fileNames(value)
		if !ok {
			return fmt.Errorf("%s%s: not a list of names of files", prefix, fileKey)
		}
		var list []any
		for _, path := range paths {
			secret, err := readSecretFile(path)
			if err != nil {
				return fmt.Errorf("%s%s: %w", prefix, fileKey, err)
			}
			list = append(list, secret)
		}
		raw[name] = list
		return nil
	}
	path, ok := value.(string)
	if !ok {
		return fmt.Errorf("%s%s: not the name of a file", prefix, fileKey)
	}
	secret, err := readSecretFile(path)
	if err != nil {
		return fmt.Errorf("%s%s: %w", prefix, fileKey, err)
	}
	raw[name] = secret
	return nil
}

// fileNames reads a list of names: one of YAML, or one with commas, as lists are in the environment.
func fileNames(value any) (names []string, ok bool) {
	switch v := value.(type) {
	case string:
		return strings.Split(v, ","), true
	case []any:
		for _, entry := range v {
			name, ok := entry.(string)
			if !ok {
				return nil, false
			}
			names = append(names, name)
		}
		return names, true
	}
	return nil, false
}

func readSecretFile(path string) (string, error) {
	content, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		var pathError *fs.PathError
		if errors.As(err, &pathError) {
			err = pathError.Err
		}
		return "", fmt.Errorf("%s: %w", path, err)
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if secret == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return secret, nil
}
