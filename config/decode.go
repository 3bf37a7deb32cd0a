package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
)

// decode writes the layers into cfg.
func decode(raw map[string]any, cfg *Config) []error {
	// A list replaces the one below it; the decoder alone would mix their entries.
	for _, k := range keys() {
		if k.typ.Kind() != reflect.Slice {
			continue
		}
		if _, given := lookupPath(raw, k.path); given {
			reflect.ValueOf(cfg).Elem().FieldByIndex(k.index).SetZero()
		}
	}
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result:     cfg,
		TagName:    "koanf",
		MatchName:  func(name, field string) bool { return name == field },
		DecodeHook: mapstructure.ComposeDecodeHookFunc(fromString, mapstructure.StringToSliceHookFunc(","), toDuration, toDate),
	})
	if err != nil {
		return []error{fmt.Errorf("config: %w", err)}
	}
	return decodeProblems(decoder.Decode(raw))
}

// fromString reads numbers, booleans and lists of secrets from the strings of the environment and the flags. Numbers are not converted to text:
// an unquoted password 0123 is the number 83 in YAML.
func fromString(_, to reflect.Type, data any) (any, error) {
	text, ok := data.(string)
	if !ok || to == durationType {
		return data, nil
	}
	if to == secretsType {
		return strings.Split(text, ","), nil
	}
	switch to.Kind() {
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not a whole number", text)
		}
		return n, nil
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, fmt.Errorf("%q is neither true nor false", text)
		}
		return b, nil
	default:
		return data, nil
	}
}

// toDuration insists on a unit: a number alone would be nanoseconds in Go.
func toDuration(_, to reflect.Type, data any) (any, error) {
	if to != durationType {
		return data, nil
	}
	switch v := data.(type) {
	case string:
		d, err := time.ParseDuration(v)
		if err != nil {
			return nil, fmt.Errorf("%q is not a duration like 90s, 15m or 720h", v)
		}
		return d, nil
	case int:
		if v == 0 {
			return time.Duration(0), nil
		}
	}
	return nil, fmt.Errorf("%v is not a duration like 90s, 15m or 720h", data)
}

// toDate accepts dates without quotes.
func toDate(_, to reflect.Type, data any) (any, error) {
	if t, ok := data.(time.Time); ok && to == reflect.TypeFor[Date]() {
		return dateOf(t), nil
	}
	return data, nil
}

// decodeProblems takes the joined errors of mapstructure apart and puts each under its key.
func decodeProblems(err error) []error {
	if err == nil {
		return nil
	}
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		var problems []error
		for _, one := range many.Unwrap() {
			problems = append(problems, decodeProblems(one)...)
		}
		return problems
	}
	var at *mapstructure.DecodeError
	if !errors.As(err, &at) {
		return []error{fmt.Errorf("config: %w", err)}
	}
	var kind *mapstructure.UnconvertibleTypeError
	if errors.As(err, &kind) {
		return []error{fmt.Errorf("%s: not a %s", at.Name(), kindName(kind.Expected.Type()))}
	}
	return []error{fmt.Errorf("%s: %w", at.Name(), at.Unwrap())}
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text (put it in quotes)"
	case reflect.Int, reflect.Int64:
		return "number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "list"
	default:
		return "block of settings"
	}
}

func lookupPath(raw map[string]any, path string) (any, bool) {
	head, rest, nested := strings.Cut(path, ".")
	value, given := raw[head]
	if !given || !nested {
		return value, given
	}
	block, ok := value.(map[string]any)
	if !ok {
		return nil, false
	}
	return lookupPath(block, rest)
}
