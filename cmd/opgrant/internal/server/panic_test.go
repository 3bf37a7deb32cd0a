package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// breaking is a hook of the Redis client that panics at one of the next commands.
type breaking struct{ after atomic.Int64 } // commands until then; 0 and less: never

func (b *breaking) pass() {
	if inBackground.Match(debug.Stack()) {
		return // not of the request
	}
	if b.after.Load() > 0 && b.after.Add(-1) == 0 {
		panic("a hook of the Redis client")
	}
}

// inBackground finds work of the server's own in a stack.
var inBackground = regexp.MustCompile(`keys\.\(\*Set\)\.|countHashKinds|usage\.\(\*Counter\)|\(\*laterCalls\)`)

func (b *breaking) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (b *breaking) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		b.pass()
		return next(ctx, cmd)
	}
}

func (b *breaking) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		b.pass()
		return next(ctx, cmds)
	}
}

// panicCounter is a log that counts the panics in it.
type panicCounter struct {
	slog.Handler
	count atomic.Int64
}

func (c *panicCounter) Enabled(context.Context, slog.Level) bool { return true }

func (c *panicCounter) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "panic" {
		c.count.Add(1)
	}
	return nil
}

// A panic, in a hook of the program that embeds or anywhere on the way to Redis, is an answer of 500 or 503 on both APIs. It
// ends neither the process nor anything that the next request needs.
func TestNoPanicOfARequestEndsTheProcess(t *testing.T) {
	hook := &breaking{}
	rdb := storage.Connect(redis.UniversalOptions{Addrs: []string{storagetest.StartMiniredis(t).Addr}})
	defer rdb.Close()
	var issuedPanics atomic.Bool
	secret, err := authserver.Secrets{}.Hash(t.Context(), []byte("demo-secret"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := opgrant.New(opgrant.Config{
		Issuer:  "http://127.0.0.1:9925",
		Redis:   rdb,
		Storage: storage.Options{Password: policy.PasswordCosts{MemoryKiB: 64, Iterations: 1, InsecureCheap: true}},
		Prepare: func(ctx context.Context, s *opgrant.Server) error {
			if err := EnsureRole(ctx, s.Store.Users, superUserRole); err != nil {
				return err
			}
			if err := s.Store.Users.AddUser(ctx, storage.User{Name: "HDB_ADMIN", Role: superUserRole, Active: true}, "password"); err != nil {
				return err
			}
			for _, c := range []*storage.Client{
				{ID: "operations", Public: true, Profile: policy.ProfileLegacy, Refresh: policy.RefreshStatic, Grants: []string{policy.GrantPassword, policy.GrantRefreshToken}},
				{ID: "demo", Secrets: []string{string(secret)}, Grants: []string{policy.GrantPassword, policy.GrantRefreshToken}},
			} {
				if err := s.Store.PutClient(ctx, c); err != nil {
					return err
				}
			}
			return nil
		},
		OnTokenIssued: func(authserver.TokenIssued) {
			if issuedPanics.Load() {
				panic("OnTokenIssued")
			}
		},
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	<-s.Started()
	rdb.AddHook(hook)
	logged := &panicCounter{Handler: slog.DiscardHandler}
	site := httptest.NewServer(observed(s, newMetrics(""), slog.New(logged)))
	defer site.Close()

	send := func(path, kind, authorization, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, site.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", kind)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode == http.StatusInternalServerError && !strings.HasPrefix(string(answer), `{"error":"server_error"`) {
			t.Errorf("%s: the body of a 500 is %s", path, answer)
		}
		return response.StatusCode, string(answer)
	}
	form := func(path string, pairs ...string) func() (int, string) {
		values := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			values.Set(pairs[i], pairs[i+1])
		}
		return func() (int, string) {
			return send(path, "application/x-www-form-urlencoded", basicAuth("demo", "demo-secret"), values.Encode())
		}
	}
	operation := func(authorization, body string) func() (int, string) {
		return func() (int, string) { return send("/", "application/json", authorization, body) }
	}
	login := form("/oauth2/token", "grant_type", "password", "username", "HDB_ADMIN", "password", "password")
	create := operation("", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`)
	admin := basicAuth("HDB_ADMIN", "password")
	requests := map[string]struct {
		ask  func() (int, string)
		want int // without a panic
	}{
		"login":                          {login, 200},
		"login of an unknown user":       {form("/oauth2/token", "grant_type", "password", "username", "nobody", "password", "x"), 400},
		"unknown refresh token":          {form("/oauth2/token", "grant_type", "refresh_token", "refresh_token", "x"), 400},
		"introspection":                  {form("/oauth2/introspect", "token", "x"), 200},
		"revocation":                     {form("/oauth2/revoke", "token", "x"), 200},
		"operations login":               {create, 200},
		"operations, of an unknown user": {operation("", `{"operation":"create_authentication_tokens","username":"nobody","password":"x"}`), 401},
		"operations, list_users":         {operation(admin, `{"operation":"list_users"}`), 200},
		"operations, add_role":           {operation(admin, `{"operation":"add_role"}`), 400},
	}
	panics := 0
	for name, request := range requests {
		for n := int64(1); ; n++ { // at the first command, then at the second, until the request needs no more
			before := logged.count.Load()
			hook.after.Store(n)
			status, body := request.ask()
			if hook.after.Swap(0) > 0 {
				if status != request.want {
					t.Errorf("%s without a panic: %d %s", name, status, body)
				}
				break
			}
			panics++
			if status != http.StatusInternalServerError && status != http.StatusServiceUnavailable {
				t.Errorf("%s with a panic at command %d: %d %s", name, n, status, body)
			}
			if now := logged.count.Load() - before; status == http.StatusInternalServerError && now != 1 {
				t.Errorf("%s: logged %d times", name, now)
			}
			if status, body := login(); status != http.StatusOK {
				t.Fatalf("after a panic in %s at command %d: %d %s", name, n, status, body)
			}
		}
	}
	if panics < len(requests) {
		t.Errorf("only %d panics in %d requests", panics, len(requests))
	}

	issuedPanics.Store(true)
	for name, ask := range map[string]func() (int, string){"login": login, "operations login": create} {
		if status, body := ask(); status != http.StatusInternalServerError || strings.Contains(body, "OnTokenIssued") {
			t.Errorf("%s with a panic in OnTokenIssued: %d %s", name, status, body)
		}
	}
	issuedPanics.Store(false)
	for name, request := range requests {
		if status, body := request.ask(); status != request.want {
			t.Errorf("%s afterwards: %s", name, fmt.Sprint(status, body))
		}
	}
}
