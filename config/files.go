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
			path, err := resolveSecret(raw, name, prefix)
			if err != nil {
				problems = append(problems, err)
			}
			found.note(f.Type, raw[name], path)
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

// note remembers where a value is, if it is a secret: in the file, or where path is empty in the layer.
func (found *secretSources) note(t reflect.Type, value any, path string) {
	text, _ := value.(string)
	secret := t == reflect.TypeFor[Secret]() && text != "" || t == reflect.TypeFor[RedisURL]() && RedisURL(text).String() != text
	switch {
	case !secret:
	case path == "":
		found.inLayer = true
	default:
		found.files = append(found.files, path)
	}
}

// resolveSecret returns the path of the file that the value was read from, or nothing.
func resolveSecret(raw map[string]any, name, prefix string) (string, error) {
	fileKey := name + "_file"
	path, given := raw[fileKey]
	if !given {
		return "", nil
	}
	delete(raw, fileKey)
	if _, both := raw[name]; both {
		return "", fmt.Errorf("%s%s: set beside %s%s; set one of them", prefix, fileKey, prefix, name)
	}
	text, ok := path.(string)
	if !ok {
		return "", fmt.Errorf("%s%s: not the name of a file", prefix, fileKey)
	}
	content, err := os.ReadFile(text) // #nosec G304 -- the operator names the file
	if err != nil {
		var pathError *fs.PathError
		if errors.As(err, &pathError) {
			err = pathError.Err
		}
		return "", fmt.Errorf("%s%s: %s: %w", prefix, fileKey, text, err)
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if secret == "" {
		return "", fmt.Errorf("%s%s: %s is empty", prefix, fileKey, text)
	}
	raw[name] = secret
	return text, nil
}
