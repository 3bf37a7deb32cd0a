package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// `serve` refuses nothing that `config check` calls valid, as far as Redis is not needed to know it, and says the same.
func TestCheckFindsWhatServeRefuses(t *testing.T) {
	long := strings.Repeat("x", 1025)
	for name, yaml := range map[string]string{
		"listen, an address of another machine":       "{listen: \"192.0.2.1:9925\"}",
		"listen, a name of no machine":                "{listen: \"no.such.host.invalid:9925\"}",
		"admin_listen, an address of another machine": "{admin_listen: \"192.0.2.1:9926\"}",
		"TLS without TLS":                             "{redis: {tls: {ca_file: /nowhere/ca.pem}}}",
		"TLS, a missing CA file":                      "{redis: {url: \"rediss://127.0.0.1:1\", tls: {ca_file: /nowhere/ca.pem}}}",
		"TLS, a CA file without certificates":         "{redis: {url: \"rediss://127.0.0.1:1\", tls: {ca_file: FILE}}}",
		"TLS, a missing key":                          "{redis: {url: \"rediss://127.0.0.1:1\", tls: {cert_file: /nowhere/c.pem, key_file: /nowhere/k.pem}}}",
		"password iterations":                         "{passwords: {iterations: 50}}",
		"password memory":                             "{passwords: {memory_kib: 2097152}}",
		"password parallelism":                        "{passwords: {parallelism: 4096}}",
		"RSA keys":                                    "{keys: {bits: 1024}}",
		"replicas":                                    "{durability: {mode: replicated}}",
		"prefix":                                      "{redis: {prefix: \"{a}\"}}",
		"limits on failed logins":                     "{throttle: {per_user: 0}}",
		"trusted proxies":                             "{trusted_proxies: [10.0.0.1]}",
		"the path of the issuer":                      "{issuer: \"https://a.example/{x}\"}",
		"the issuer":                                  "{issuer: \"https://a.example/\"}",
		"an origin":                                   "{compat: {origins: [\"https://a.example/\"]}}",
		"the origin null":                             "{compat: {origins: [\"null\"]}}",
		"the upstream":                                "{compat: {upstream: \"old:9925\"}}",
		"a user name that is too long":                "{users: [{username: " + long + ", password: p}]}",
		"a password that is too long":                 "{users: [{username: u, password: " + long + "}]}",
		"a client":                                    "{clients: [{id: c, grants: [passwrd]}]}",
		"strict, without a secret":                    "{strict: true}",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "c.yaml")
			if err := os.WriteFile(file, []byte(strings.ReplaceAll(yaml, "FILE", file)), 0o600); err != nil {
				t.Fatal(err)
			}
			defaults := []string{"OPGRANT_LISTEN=127.0.0.1:0", "OPGRANT_ADMIN_LISTEN=127.0.0.1:0", "OPGRANT_REDIS=127.0.0.1:1"}
			var environ []string
			for _, pair := range defaults { // a variable would beat the file
				key, _, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(pair, "OPGRANT_")), "=")
				if !strings.Contains(yaml, "{"+key+": \"") && !strings.Contains(yaml, key+": {url") {
					environ = append(environ, pair)
				}
			}
			var found, refused strings.Builder
			if err := runProgram(t.Context(), []string{"config", "check", "--config", file}, environ, nil, io.Discard, &found); err == nil {
				t.Error("config check says that it is valid")
			}
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			err := runProgram(ctx, []string{"serve", "--config", file}, environ, nil, io.Discard, &refused)
			if err == nil || ctx.Err() != nil {
				t.Fatalf("serve starts: %v", &refused)
			}
			said, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "strict: "), " (")
			if !strings.Contains(found.String(), said) {
				t.Errorf("config check: %s; serve: %s", &found, err)
			}
		})
	}
}

// A server that is running does not keep its configuration from being checked.
func TestCheckBesideARunningServer(t *testing.T) {
	address := freeAddress(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- runProgram(ctx, []string{"serve", "--dev", "--listen", address, "--admin-listen", "off"}, nil, nil, io.Discard, io.Discard)
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	eventually(t, "the server is healthy", func() bool {
		return runProgram(t.Context(), []string{"healthcheck", "--url", "http://" + address}, nil, nil, io.Discard, io.Discard) == nil
	})
	var messages strings.Builder
	if err := runProgram(t.Context(), []string{"config", "check"}, []string{"OPGRANT_LISTEN=" + address}, nil, io.Discard, &messages); err != nil {
		t.Errorf("%v %s", err, &messages)
	}
}
