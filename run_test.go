package opgrant_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestNewRefusesAnIncompleteConfig(t *testing.T) {
	for name, c := range map[string]opgrant.Config{
		"no Redis":  {Issuer: "https://auth.example.org"},
		"no issuer": {Redis: storage.Connect(redis.UniversalOptions{Addrs: []string{"127.0.0.1:1"}})},
	} {
		if _, err := opgrant.New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRunWaitsForRedis(t *testing.T) {
	fake := storagetest.StartMiniredis(t)
	heal := fake.Break(t)
	var prepared atomic.Int32
	s, err := opgrant.New(opgrant.Config{
		Issuer: "https://auth.example.org", Log: slog.New(slog.DiscardHandler),
		Redis:   storage.Connect(redis.UniversalOptions{Addrs: []string{fake.Addr}}),
		Prepare: func(context.Context, *opgrant.Server) error { prepared.Add(1); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(t.Context()); !errors.Is(err, opgrant.ErrStarting) || !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		t.Errorf("before Run: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	form := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/oauth2/token", strings.NewReader("grant_type=client_credentials&client_id=x&client_secret=y"))
	form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, form)
	if w.Code != http.StatusServiceUnavailable || prepared.Load() != 0 {
		t.Errorf("while Redis is unavailable: %d, prepared %d times", w.Code, prepared.Load())
	}
	heal()
	select {
	case <-s.Started():
	case err := <-ended:
		t.Fatalf("Run ended: %v", err)
	case <-time.After(30 * time.Second):
		t.Fatal("Run does not start")
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("after the start: %v", err)
	}
	if !s.Keys.Loaded() || prepared.Load() != 1 {
		t.Errorf("keys loaded: %v, prepared %d times", s.Keys.Loaded(), prepared.Load())
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestRunEndsWhenThePreparationFails(t *testing.T) {
	broken := errors.New("broken")
	s, err := opgrant.New(opgrant.Config{
		Issuer: "https://auth.example.org", Log: slog.New(slog.DiscardHandler),
		Redis:   storage.Connect(redis.UniversalOptions{Addrs: []string{storagetest.StartMiniredis(t).Addr}}),
		Prepare: func(context.Context, *opgrant.Server) error { return broken },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Run: %v", err)
	}
	if err := s.Ready(t.Context()); !errors.Is(err, opgrant.ErrStarting) {
		t.Errorf("Ready: %v", err)
	}
}

func TestOperationsCanBeDisabled(t *testing.T) {
	_, site := start(t, func(c *opgrant.Config) { c.DisableOperations = true })
	resp, err := site.Client().Post(site.URL, "application/json", strings.NewReader(`{"operation":"user_info"}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("POST /: %s", resp.Status)
	}
}
