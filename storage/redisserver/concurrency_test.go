package redisserver_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// A hundred callers refresh one token at once, over three servers on one Redis. Within a grace all of them get the same pair,
// and without one exactly one does.
func TestConcurrentRefreshesOfOneToken(t *testing.T) {
	const callers = 100
	for name, grace := range map[string]time.Duration{"strict": 0, "grace": policy.MaxGrace} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stores := replicas(t, storagetest.StartInstance(t).Addr)
			g := storage.Duration(grace)
			c := &storage.Client{ID: "race", Public: true, Grants: []string{"password"}, Grace: &g}
			put(t, stores[0], c)
			for range rounds(10, 100, 1000) {
				refreshAtOnce(t, stores, c, grace, callers)
			}
		})
	}
}

func refreshAtOnce(t *testing.T, stores []*storage.Store, c *storage.Client, grace time.Duration, callers int) {
	t.Helper()
	ctx := t.Context()
	id := storage.NewSessionID("alice")
	sig := func(name string) string { return storage.Signature(id, name) }
	req := request(id, "alice", c)
	if err := login(ctx, stores[0], sig("a"), sig("r"), req); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	rotations, pairs := 0, map[string]int{} // :: pair → how many callers got it
	atOnce(callers, func(i int) {
		mine := fmt.Sprint("r", i)
		answer, err := stores[i%3].RefreshSession(ctx, sig("r"), sig(fmt.Sprint("a", i)), sig(mine), []byte(mine), req)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil && answer == nil:
			rotations++
			pairs[mine]++
		case err == nil:
			pairs[string(answer)]++
		case grace == 0 && errors.Is(err, fosite.ErrTemporarilyUnavailable): // while the first one is not confirmed
		case grace > 0 || !errors.Is(err, fosite.ErrInactiveToken) && !errors.Is(err, fosite.ErrNotFound):
			t.Errorf("caller %d: %v", i, err)
		}
	})
	holders := 0
	for _, n := range pairs {
		holders += n
	}
	if rotations != 1 || len(pairs) != 1 || grace > 0 && holders != callers || grace == 0 && holders != 1 {
		t.Fatalf("%d rotations, %d different pairs, %d of %d callers have one", rotations, len(pairs), holders, callers)
	}
}

// atOnce calls f for 0 to n-1 in goroutines that start together.
func atOnce(n int, f func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	all.Wait()
}

// With one session per user, exactly one of a hundred concurrent logins keeps a refresh token.
func TestConcurrentLoginsPastTheLimit(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	stores := replicas(t, storagetest.StartInstance(t).Addr)
	c := &storage.Client{ID: "one", Public: true, Grants: []string{"password"}, SessionsPerUser: 1}
	put(t, stores[0], c)
	for round := range rounds(5, 20, 200) {
		subject := fmt.Sprint("user", round)
		ids := make([]string, 100)
		atOnce(len(ids), func(i int) {
			ids[i] = storage.NewSessionID(subject)
			sig := func(name string) string { return storage.Signature(ids[i], name) }
			if err := login(ctx, stores[i%3], sig("a"), sig("r"), request(ids[i], subject, c)); err != nil {
				t.Errorf("login: %v", err)
			}
		})
		valid := 0
		for _, id := range ids {
			sig := func(name string) string { return storage.Signature(id, name) }
			_, read := stores[0].GetRefreshTokenSession(ctx, sig("r"), &storagetest.Session{})
			_, refreshed := stores[1].RefreshSession(ctx, sig("r"), sig("b"), "", nil, request(id, subject, c))
			if (read == nil) != (refreshed == nil) {
				t.Errorf("the look-up returns %v and the refresh %v", read, refreshed)
			}
			if refreshed == nil {
				valid++
			}
			if _, err := stores[2].GetAccessTokenSession(ctx, sig("a"), &storagetest.Session{}); err != nil {
				t.Errorf("an access token ended with the refresh token: %v", err)
			}
		}
		if valid != 1 {
			t.Fatalf("%d of %d refresh tokens are valid, want one", valid, len(ids))
		}
	}
}
