package server

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/opgrant/opgrant/config"
)

func TestProfilesAreOffUnlessAskedFor(t *testing.T) {
	for _, on := range []bool{false, true} {
		cfg := config.Default()
		cfg.Admin.Pprof = on
		want := http.StatusNotFound
		if on {
			want = http.StatusOK
		}
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/heap", "/debug/pprof/symbol"} {
			w := httptest.NewRecorder()
			adminHandler(newMetrics(""), cfg).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1:9926"+path, nil))
			if w.Code != want {
				t.Errorf("admin.pprof %t: %s is %d", on, path, w.Code)
			}
		}
	}
}

// The admin listener answers to the names that it has, so that a website cannot reach it under a name of its own.
func TestAdminListenerKnowsItsNames(t *testing.T) {
	for _, row := range []struct {
		listen string
		hosts  []string
		local  string // the address that the connection was made to
		host   string
		want   int
	}{
		{"127.0.0.1:9926", nil, "127.0.0.1:9926", "127.0.0.1:9926", 200},
		{"127.0.0.1:9926", nil, "127.0.0.1:9926", "127.0.0.1", 200},
		{"127.0.0.1:9926", nil, "127.0.0.1:9926", "localhost:9926", 200},
		{"127.0.0.1:9926", nil, "127.0.0.1:9926", "LocalHost.", 200},
		{"[::1]:9926", nil, "[::1]:9926", "[::1]:9926", 200},
		{"127.0.0.1:9926", nil, "127.0.0.1:9926", "evil.example:9926", 421},
		{"127.0.0.1:9926", nil, "127.0.0.1:9926", "localhost.evil.example:9926", 421},
		{"127.0.0.1:9926", nil, "127.0.0.1:9926", "127.0.0.1.evil.example", 421},
		{"127.0.0.1:9926", nil, "127.0.0.1:9926", "10.1.2.3:9926", 421},
		{"127.0.0.1:9926", nil, "127.0.0.1:9926", "", 421},
		{"0.0.0.0:9926", nil, "10.1.2.3:9926", "10.1.2.3:9926", 200},
		{"0.0.0.0:9926", nil, "10.1.2.3:9926", "10.1.2.4:9926", 421},
		{"0.0.0.0:9926", nil, "10.1.2.3:9926", "0.0.0.0:9926", 421},
		{":9926", nil, "[fd00::1]:9926", "[fd00::1]:9926", 200},
		{":9926", nil, "10.1.2.3:9926", "", 421},
		{"admin.internal:9926", nil, "10.1.2.3:9926", "admin.internal:9926", 200},
		{"0.0.0.0:9926", []string{"opgrant.monitoring"}, "10.1.2.3:9926", "opgrant.monitoring:9926", 200},
		{"0.0.0.0:9926", []string{"opgrant.monitoring"}, "10.1.2.3:9926", "evil.monitoring:9926", 421},
		{"0.0.0.0:9926", []string{"192.0.2.7"}, "10.1.2.3:9926", "192.0.2.7:9926", 200},
	} {
		cfg := config.Default()
		cfg.AdminListen, cfg.Admin.Hosts = row.listen, row.hosts
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Host = row.host
		local, err := net.ResolveTCPAddr("tcp", row.local)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		adminHandler(newMetrics(""), cfg).ServeHTTP(w, r.WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, local)))
		if w.Code != row.want {
			t.Errorf("%s, hosts %v, asked on %s for %q: %d, want %d", row.listen, row.hosts, row.local, row.host, w.Code, row.want)
		}
	}
}
