package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/config"
)

func TestAdminListenerHasMetrics(t *testing.T) {
	m := newMetrics("https://host.example/auth")
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{"127.0.0.1:1"}})
	defer rdb.Close()
	m.watchPool(rdb)
	m.request(httptest.NewRequest(http.MethodPost, "/oauth2/token", nil), 200, time.Millisecond)
	m.request(httptest.NewRequest(http.MethodPost, "/auth/oauth2/token", nil), 200, time.Millisecond)
	m.request(httptest.NewRequest(http.MethodGet, "/.well-known/oauth-authorization-server/auth", nil), 200, time.Millisecond)
	m.request(httptest.NewRequest("BREW", "/made/up/by/the/caller", nil), 404, time.Millisecond)
	server := httptest.NewServer(adminHandler(m, config.Default()))
	defer server.Close()
	_, text := get(t, server.URL+"/metrics")
	for _, want := range []string{
		`opgrant_http_requests_total{method="POST",path="/oauth2/token",status="200"} 2`,
		`opgrant_http_requests_total{method="GET",path="/.well-known/oauth-authorization-server",status="200"} 1`,
		`opgrant_http_requests_total{method="other",path="other",status="404"} 1`,
		`opgrant_redis_connections 0`,
		`go_goroutines `,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}
