package opgrant_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// start runs a server on a Redis of its own with a super user, the client of the operations API and a confidential client.
func start(t *testing.T, change func(*opgrant.Config)) (*opgrant.Server, *httptest.Server) {
	t.Helper()
	secret, err := authserver.Secrets{}.Hash(t.Context(), []byte("demo-secret"))
	if err != nil {
		t.Fatal(err)
	}
	rdb := storage.Connect(redis.UniversalOptions{Addrs: []string{storagetest.StartMiniredis(t).Addr}})
	c := opgrant.Config{
		Issuer: "http://127.0.0.1:9925",
		Redis:  rdb,
		Storage: storage.Options{
			CredentialCache: time.Minute,
			Password:        policy.PasswordCosts{MemoryKiB: 64, Iterations: 1, InsecureCheap: true},
		},
		Prepare: func(ctx context.Context, s *opgrant.Server) error {
			_, err := s.Store.Users.AddRole(ctx, storage.Role{ID: "super_user", Permission: []byte(`{"super_user":true}`)})
			return errors.Join(err,
				s.Store.Users.AddUser(ctx, storage.User{Name: "HDB_ADMIN", Role: "super_user", Active: true}, "password"),
				s.Store.PutClient(ctx, &storage.Client{
					ID: "operations", Public: true, Profile: policy.ProfileLegacy, Refresh: policy.RefreshStatic,
					Grants: []string{policy.GrantPassword, policy.GrantRefreshToken, policy.GrantTokenExchange},
				}),
				s.Store.PutClient(ctx, &storage.Client{
					ID: "demo", Secrets: []string{string(secret)}, Introspect: true, ExchangeFrom: []string{"operations"},
					Grants: []string{policy.GrantPassword, policy.GrantRefreshToken, policy.GrantTokenExchange},
				}))
		},
		Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&c)
	}
	s, err := opgrant.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	site := httptest.NewServer(s)
	t.Cleanup(func() {
		site.Close()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		_ = rdb.Close()
	})
	select {
	case <-s.Started():
	case err := <-ended:
		ended <- nil // for the clean-up
		t.Fatalf("Run: %v", err)
	}
	return s, site
}

// memberNames lists the names of the members of a JSON object.
func memberNames(body []byte) []string {
	var members map[string]any
	_ = json.Unmarshal(body, &members)
	return slices.Sorted(maps.Keys(members))
}

// operate sends one operation and returns the status and the members of the answer.
func operate(t *testing.T, site *httptest.Server, authorization, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, site.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return answered(t, site, r)
}

// oauth sends a form to an OAuth endpoint as the confidential client.
func oauth(t *testing.T, site *httptest.Server, path string, form url.Values) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, site.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("demo", "demo-secret")
	return answered(t, site, r)
}

func answered(t *testing.T, site *httptest.Server, r *http.Request) (int, map[string]any) {
	t.Helper()
	resp, err := site.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var members map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&members); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return resp.StatusCode, members
}

func basicAuth(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

var admin = basicAuth("HDB_ADMIN", "password")

// loginAlice creates the user alice and logs in by the operations API.
func loginAlice(t *testing.T, site *httptest.Server) (operation, refresh string) {
	t.Helper()
	operate(t, site, admin, `{"operation":"add_role","role":"staff","permission":{"super_user":false}}`)
	operate(t, site, admin, `{"operation":"add_user","username":"alice","password":"alicepw","role":"staff","active":true}`)
	status, tokens := operate(t, site, "", `{"operation":"create_authentication_tokens","username":"alice","password":"alicepw"}`)
	operation, _ = tokens["operation_token"].(string)
	refresh, _ = tokens["refresh_token"].(string)
	if status != 200 || operation == "" || refresh == "" {
		t.Fatalf("login: %d %v", status, tokens)
	}
	return operation, refresh
}
