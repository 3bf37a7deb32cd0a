package server

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestClientAddress(t *testing.T) {
	trusted, err := parseNetworks([]string{"10.0.0.0/8", "fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"no proxy":                         {"192.0.2.1:5", nil, "192.0.2.1"},
		"header of an untrusted client":    {"192.0.2.1:5", []string{"198.51.100.1"}, "192.0.2.1"},
		"header of a proxy":                {"10.1.1.1:5", []string{"198.51.100.1"}, "198.51.100.1"},
		"client forges a hop":              {"10.1.1.1:5", []string{"203.0.113.9, 198.51.100.1"}, "198.51.100.1"},
		"two proxies":                      {"10.1.1.1:5", []string{"198.51.100.1, 10.2.2.2"}, "198.51.100.1"},
		"two header lines":                 {"10.1.1.1:5", []string{"203.0.113.9", "198.51.100.1"}, "198.51.100.1"},
		"garbage ends the walk":            {"10.1.1.1:5", []string{"198.51.100.1, garbage"}, "10.1.1.1"},
		"proxy without a header":           {"10.1.1.1:5", nil, "10.1.1.1"},
		"IPv6":                             {"[fd00::1]:5", []string{"2001:db8::7"}, "2001:db8::7"},
		"IPv4 in IPv6 is one address":      {"[::ffff:10.1.1.1]:5", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		"a zone does not make another one": {"[fe80::1%eth0]:5", nil, "fe80::1"},
		"a proxy that writes ports":        {"10.1.1.1:5", []string{"203.0.113.9, 198.51.100.1:4711"}, "198.51.100.1"},
		"ports, IPv6":                      {"10.1.1.1:5", []string{"[2001:db8::7]:4711, 10.2.2.2:80"}, "2001:db8::7"},
		"not an address":                   {"@", nil, "@"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.RemoteAddr = row.remote
			for _, line := range row.forwarded {
				r.Header.Add("X-Forwarded-For", line)
			}
			if got := clientAddress(trusted)(r); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}
