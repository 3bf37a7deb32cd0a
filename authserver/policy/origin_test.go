package policy_test

import (
	"strings"
	"testing"

	"github.com/opgrant/opgrant/authserver/policy"
)

func TestOnlyWhatBrowsersSendIsAnOrigin(t *testing.T) {
	for _, origin := range []string{
		"https://app.example.org", "https://app.example.org:8443", "http://localhost:3000", "http://127.0.0.1:3000", "http://[::1]:3000",
		"https://xn--bcher-kva.example", "capacitor://localhost", "http://app.example:443",
	} {
		if !policy.IsOrigin(origin) {
			t.Errorf("%s is refused", origin)
		}
	}
	for _, origin := range []string{
		"", "*", "null", "app.example.org", "//app.example.org", "https://", "https://*", "https://*.example.org", "https://app.example.org/",
		"https://app.example.org/path", "https://app.example.org?q", "https://app.example.org#f", "https://user@app.example.org",
		"https://APP.example.org", "HTTPS://app.example.org", "https://bücher.example", "https://app.example.org:", "https://app.example.org:port",
		"https://app.example.org:443", "http://app.example.org:80", " https://app.example.org", "https://app.example.org\n", "https://a b",
		"https://" + strings.Repeat("a", 300),
	} {
		if policy.IsOrigin(origin) {
			t.Errorf("%q is accepted", origin)
		}
	}
}
