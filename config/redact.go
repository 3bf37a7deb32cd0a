package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
)

// Redacted returns the configuration as YAML that [Load] reads, with the secrets replaced.
func (c *Config) Redacted() (string, error) {
	text, err := yaml.Parser().Marshal(plain(reflect.ValueOf(*c)).(map[string]any))
	return string(text), err
}

// String is Redacted, for formatting.
func (c *Config) String() string {
	text, err := c.Redacted()
	if err != nil {
		return fmt.Sprintf("config: %v", err)
	}
	return text
}

// LogValue is String, for logs.
func (c *Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON uses the keys of the file, with the secrets replaced.
func (c *Config) MarshalJSON() ([]byte, error) {
	return json.Marshal(plain(reflect.ValueOf(*c)))
}

// plain turns a value into maps, lists and what YAML and JSON show readably.
func plain(v reflect.Value) any {
	switch value := v.Interface().(type) {
	case time.Duration:
		return value.String()
	case fmt.Stringer:
		return value.String()
	}
	switch v.Kind() {
	case reflect.Struct:
		block := map[string]any{}
		for i := range v.NumField() {
			field := v.Field(i)
			if v.Type().Field(i).Tag.Get("koanf") == "-" {
				continue
			}
			if field.Kind() == reflect.Pointer {
				if field.IsNil() {
					continue // not set
				}
				field = field.Elem()
			}
			block[v.Type().Field(i).Tag.Get("koanf")] = plain(field)
		}
		return block
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(v.Index(i))
		}
		return list
	default:
		return v.Interface()
	}
}
