package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/authserver/admission"
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

// A gate that is full and a Redis that is away can be told apart.
func TestMetricsOfAdmissionAndTheBreaker(t *testing.T) {
	full := func() *admission.Gate { return admission.NewGate(admission.Limits{Running: 1}) }
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{"127.0.0.1:1"}, MaxRetries: -1, DialerRetries: 1})
	defer rdb.Close()
	s, err := opgrant.New(opgrant.Config{Issuer: "https://host.example", Redis: rdb, Admission: admission.Gates{Requests: full(), Hashes: full()}})
	if err != nil {
		t.Fatal(err)
	}
	m := newMetrics("https://host.example")
	m.watchAdmission(s)
	server := httptest.NewServer(adminHandler(m, config.Default()))
	defer server.Close()
	has := func(want ...string) bool {
		_, text := get(t, server.URL+"/metrics")
		for _, line := range want {
			if !strings.Contains(text, line+"\n") {
				t.Logf("/metrics lacks %s", line)
				return false
			}
		}
		return true
	}
	if !has(`opgrant_admission_running{kind="request"} 0`, `opgrant_admission_running{kind="hash"} 0`, `opgrant_redis_breaker_open 0`) {
		t.Error("of an idle server")
	}
	ticket, err := s.Admission.Hashes.Enter(t.Context(), admission.Later)
	if err != nil {
		t.Fatal(err)
	}
	defer ticket.Leave()
	_, _ = s.Admission.Hashes.Enter(t.Context(), admission.Later)
	if !has(`opgrant_admission_running{kind="hash"} 1`, `opgrant_admission_queued{kind="hash"} 0`, `opgrant_admission_refused_total{kind="hash"} 1`,
		`opgrant_admission_refused_total{kind="request"} 0`) {
		t.Error("with a full gate")
	}
	for end := time.Now().Add(time.Minute); !s.Store.BreakerOpen(); {
		if _, err := s.Store.GetClient(t.Context(), "any"); err == nil || time.Now().After(end) {
			t.Fatal("the breaker does not open")
		}
	}
	if !has(`opgrant_redis_breaker_open 1`) {
		t.Error("without Redis")
	}
}
