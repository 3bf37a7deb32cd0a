package config

import (
	"log/slog"
	"strings"
)

const redacted = "[redacted]"

// Secret is a string that reads [redacted] when it is formatted, marshalled or logged. Convert it to a string to use it.
type Secret string

// String returns a placeholder, or nothing when the secret is empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString keeps %#v from showing the secret.
func (s Secret) GoString() string { return `config.Secret("` + s.String() + `")` }

// MarshalText redacts the secret in JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue redacts the secret in logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// RedisURL is the address of Redis. A password in it is redacted wherever the
// value is formatted, marshalled or logged.
type RedisURL string

// String returns the address without its password.
func (u RedisURL) String() string {
	scheme, rest, found := strings.Cut(string(u), "://")
	if !found {
		scheme, rest = "", string(u)
	} else {
		scheme += "://"
	}
	at := strings.LastIndex(rest, "@")
	if at < 0 {
		return string(u)
	}
	user, _, hasPassword := strings.Cut(rest[:at], ":")
	if hasPassword {
		user += ":" + redacted
	}
	return scheme + user + rest[at:]
}

// GoString keeps %#v from showing a password.
func (u RedisURL) GoString() string { return `config.RedisURL("` + u.String() + `")` }

// MarshalText redacts the password in JSON and YAML.
func (u RedisURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// LogValue redacts the password in logs.
func (u RedisURL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// Content is a text that can be in a file of its own, like a Secret, but is not secret.
type Content string
