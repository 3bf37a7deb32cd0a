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

// secretSources is where the secrets of a layer are.
type secretSources struct {
	inLayer bool     // in the layer itself
	files   []string // in files of their own
}

// resolve reports keys of a layer that do not exist, and replaces every NAME_file by NAME with the content of that file.
func resolve(layer map[string]any) (secretSources, []error) {
	var found secretSources
	problems := found.resolveStruct(layer, reflect.TypeFor[Config](), "")
	return found, problems
}

func (found *secretSources) resolveStruct(raw map[string]any, t reflect.Type, prefix string) []error {
	var problems []error
	known := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("koanf")
		known[name] = name != "-"
		switch {
		case isFileBacked(f.Type):
			paths, err := resolveFile(raw, f.Type, name, prefix)
			if err != nil {
				problems = append(problems, err)
			}
			found.note(f.Type, raw[name], paths)
		case f.Type.Kind() == reflect.Struct:
			if block, ok := raw[name].(map[string]any); ok {
				problems = append(problems, found.resolveStruct(block, f.Type, prefix+name+".")...)
			}
		case isStructSlice(f.Type):
			list, _ := raw[name].([]any)
			for i, entry := range list {
				if block, ok := entry.(map[string]any); ok {
					problems = append(problems, found.resolveStruct(block, f.Type.Elem(), fmt.Sprintf("%s%s[%d].", prefix, name, i))...)
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

// note remembers where a value is, if it is a secret: in the file, or where there are no paths in the layer.
func (found *secretSources) note(t reflect.Type, value any, paths []string) {
	text, _ := value.(string)
	list, _ := value.([]any)
	secret := t == reflect.TypeFor[Secret]() && text != "" || t == secretsType && len(list) > 0 ||
		t == reflect.TypeFor[RedisURL]() && RedisURL(text).String() != text
	switch {
	case !secret:
	case len(paths) == 0:
		found.inLayer = true
	default:
		found.files = append(found.files, paths...)
	}
}

// resolveFile returns the paths of the files that the value was read from, or nothing.
func resolveFile(raw map[string]any, t reflect.Type, name, prefix string) ([]string, error) {
	fileKey := name + "_file"
	value, given := raw[fileKey]
	if !given {
		return nil, nil
	}
	delete(raw, fileKey)
	if _, both := raw[name]; both {
		return nil, fmt.Errorf("%s%s: set beside %s%s; set one of them", prefix, fileKey, prefix, name)
	}
	paths, ok := []string(nil), false
	if t == secretsType {
		paths, ok = fileNames(value)
	} else if path, text := value.(string); text {
		paths, ok = []string{path}, true
	}
	if !ok {
		return nil, fmt.Errorf("%s%s: not the name of a file", prefix, fileKey)
	}
	var list []any
	for _, path := range paths {
		secret, err := readSecretFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s%s: %w", prefix, fileKey, err)
		}
		list = append(list, secret)
	}
	if raw[name] = list[0]; t == secretsType {
		raw[name] = list
	}
	return paths, nil
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
		return names, len(names) > 0
	}
	return nil, false
}

func readSecretFile(path string) (string, error) {
	content, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
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
