package config

import "testing"

func TestEverySettingHasOneVariable(t *testing.T) {
	seen := map[string]string{}
	note := func(name, path string) {
		if other, taken := seen[name]; taken {
			t.Errorf("%s sets %s and %s", name, other, path)
		}
		seen[name] = path
	}
	note(pathVariable, "the file itself")
	for _, k := range keys() {
		if k.env == "" {
			continue
		}
		note(k.env, k.path)
		if k.fileBacked() {
			note(k.env+"_FILE", k.path+"_file")
		}
	}
	for name, path := range map[string]string{
		"OPGRANT_LISTEN": "listen", "OPGRANT_REDIS": "redis.url", "OPGRANT_REDIS_FILE": "redis.url_file",
		"OPGRANT_REDIS_PASSWORD_FILE": "redis.password_file", "OPGRANT_SECRET_FILE": "secret_file",
	} {
		if seen[name] != path {
			t.Errorf("%s sets %q, want %q", name, seen[name], path)
		}
	}
}
