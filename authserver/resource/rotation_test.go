package resource_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/authserver/resource"
)

// Item 51 of the checklist: keys rotate ten times while clients log in, refresh and verify all the time, at two replicas
// that follow each other, with several kinds of key set caches. No token fails, from its issue until it expires. Old keys
// leave the key set meanwhile. The test runs on a fake clock.
func TestRotationUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rotations = 10
		config := keys.Config{Lead: time.Second, MaxTokenTTL: 2500 * time.Millisecond, Reload: 50 * time.Millisecond}
		i := newIssuer(t, config, true)
		config.Store = i.keyStore
		other := openKeys(t, config)

		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var all sync.WaitGroup
		for _, set := range []*keys.Set{i.keys, other} {
			all.Go(func() { set.Run(ctx, slog.New(slog.DiscardHandler)) })
		}
		load := &load{t: t, replicas: []http.Handler{i.server, i.newServer(other)}, seen: map[any]bool{}}
		for name, v := range verifiers(ctx, t, i, &load.seen, &load.mutex) {
			load.names, load.verifiers = append(load.names, name), append(load.verifiers, v)
		}
		for n := range 4 {
			all.Go(func() { load.client(n) })
		}
		for n := range rotations {
			algorithm := []string{policy.RS256, policy.ES256}[n%2]
			_, err := i.keys.Rotate(ctx, algorithm, false)
			check(t, err)
			time.Sleep(700 * time.Millisecond)
		}
		time.Sleep(200 * time.Millisecond)
		load.stopped.Store(true)
		load.late.Wait()
		stop()
		all.Wait()

		list, err := i.keys.List(t.Context())
		check(t, err)
		t.Logf("%d logins and refreshes, %d verifications, %d keys signed, %d are left, %d failures",
			load.issued.Load(), load.verified.Load(), len(load.seen), len(list), load.failures.Load())
		if load.failures.Load() > 0 || load.issued.Load() < 50 || len(load.seen) < rotations || len(list) >= rotations+3 {
			t.Error("see above")
		}
	})
}

// verifier checks a token by the key set.
type verifier func(ctx context.Context, token string) error

// verifiers are several kinds of key set caches. For the one that only polls a key is published before it signs: it never
// fetches because of a token.
func verifiers(ctx context.Context, t *testing.T, i *issuer, seen *map[any]bool, mutex *sync.Mutex) map[string]verifier {
	t.Helper()
	guard := newGuard(t, i, nil)
	eager := newGuard(t, i, func(c *resource.Config) { c.KeysFresh = 100 * time.Millisecond; c.KeysEvery = 50 * time.Millisecond })
	library := func(interval time.Duration, limit *rate.Limiter) verifier {
		set, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{i.url + "/.well-known/jwks.json"}, keyfunc.Override{Client: i.client(), RefreshInterval: interval, RefreshUnknownKID: limit, RateLimitWaitMax: time.Second})
		check(t, err)
		return func(_ context.Context, token string) error {
			parsed, err := jwt.Parse(token, set.Keyfunc, jwt.WithIssuer(i.url), jwt.WithExpirationRequired())
			if err == nil {
				mutex.Lock()
				(*seen)[parsed.Header["kid"]] = true
				mutex.Unlock()
			}
			return err
		}
	}
	return map[string]verifier{
		"guard":                   func(ctx context.Context, token string) error { _, err := guard.Verify(ctx, token); return err },
		"guard that polls":        func(ctx context.Context, token string) error { _, err := eager.Verify(ctx, token); return err },
		"keyfunc":                 library(time.Hour, rate.NewLimiter(rate.Every(50*time.Millisecond), 1)),
		"keyfunc that only polls": library(100*time.Millisecond, rate.NewLimiter(0, 0)),
	}
}

// load is what the clients do and see.
type load struct {
	t         *testing.T
	replicas  []http.Handler
	names     []string
	verifiers []verifier

	stopped                    atomic.Bool    // no further logins
	late                       sync.WaitGroup // verifications just before a token expires
	issued, verified, failures atomic.Int64
	mutex                      sync.Mutex
	seen                       map[any]bool // kid → a token of it was verified
}

func (l *load) fail(format string, args ...any) {
	if l.failures.Add(1) <= 5 {
		l.t.Errorf(format, args...)
	}
}

// client logs in and refreshes, at one replica after the other, until the load is stopped.
func (l *load) client(n int) {
	id := []string{"brief", "brief-es"}[n%2]
	for round := 0; !l.stopped.Load(); round++ {
		got, ok := l.token(round, id, "grant_type", "password", "username", "alice", "password", "wonder land")
		for range 5 {
			if !ok || l.stopped.Load() {
				break
			}
			time.Sleep(time.Duration(50+n) * time.Millisecond) // at full speed the fake clock would stand still
			got, ok = l.token(round+1, id, "grant_type", "refresh_token", "refresh_token", got.Refresh)
		}
		time.Sleep(time.Duration(50+n) * time.Millisecond)
	}
}

func (l *load) token(replica int, client string, form ...string) (tokens, bool) {
	status, raw := post(l.replicas[replica%len(l.replicas)], "/oauth2/token", client, form...)
	var got tokens
	if status != http.StatusOK || json.Unmarshal(raw, &got) != nil {
		l.fail("%v: %d %s", form[1], status, raw)
		return got, false
	}
	l.issued.Add(1)
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(got.Access, claims); err != nil {
		l.fail("%v", err)
		return got, false
	}
	end, _ := claims.GetExpirationTime()
	l.check("at once", got.Access, end.Time)
	l.late.Go(func() {
		time.Sleep(time.Until(end.Add(-300 * time.Millisecond)))
		l.check("just before it expires", got.Access, end.Time)
	})
	return got, true
}

// check asks all verifiers at once: one that has to fetch a key must not give the next one time to poll.
func (l *load) check(when, token string, end time.Time) {
	var all sync.WaitGroup
	for n, verify := range l.verifiers {
		all.Go(func() {
			err := verify(context.Background(), token)
			if !time.Now().Before(end) {
				return // it expired while a key was fetched
			}
			l.verified.Add(1)
			if err != nil {
				l.fail("%s, %s: %v", l.names[n], when, err)
			}
		})
	}
	all.Wait()
}
