package storage_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// A hundred callers refresh one token at once, over three servers on one Redis. Within a grace they all hold the same
// pair; without one exactly one does.
func TestRaceForOneToken(t *testing.T) {
	srv := storagetest.StartRedis(t, storagetest.Options{})
	for name, grace := range map[string]time.Duration{"strict": 0, "grace": 30 * time.Second} {
		t.Run(name, func(t *testing.T) {
			raceForOneToken(t, standalone(t, srv.Addr), grace, scale(20, 100, 1000), 100)
		})
	}
}

func raceForOneToken(t *testing.T, client func() redis.UniversalClient, grace time.Duration, rounds, callers int) {
	t.Helper()
	ctx := context.Background()
	var stores []*storage.Store
	for range 3 {
		stores = append(stores, newStore(t, client(), storage.Options{Timeout: 10 * time.Second}))
	}
	g := storage.Duration(grace)
	c := &storage.Client{ID: "race", Public: true, Grants: []string{"password"}, Grace: &g}
	if err := stores[0].PutClient(ctx, c); err != nil {
		t.Fatal(err)
	}
	for range rounds {
		id := storage.NewSessionID("alice")
		sig := func(name string) string { return storage.Signature(id, name) }
		req := sessionRequest(id, "alice", c, time.Hour, time.Hour)
		if err := login(ctx, stores[0], sig("a"), sig("r"), req); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		wins, pairs := 0, map[string]int{}
		var all sync.WaitGroup
		start := make(chan struct{})
		for i := range callers {
			all.Go(func() {
				<-start
				mine := fmt.Sprint("r", i)
				answer, err := stores[i%3].RefreshSession(ctx, sig("r"), sig(fmt.Sprint("a", i)), sig(mine), []byte(mine), req)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil && answer == nil:
					wins++
					pairs[mine]++
				case err == nil:
					pairs[string(answer)]++
				case grace > 0 || !errors.Is(err, fosite.ErrInactiveToken) && !errors.Is(err, fosite.ErrNotFound):
					t.Errorf("caller %d: %v", i, err)
				}
			})
		}
		close(start)
		all.Wait()
		holders := 0
		for _, n := range pairs {
			holders += n
		}
		if wins != 1 || len(pairs) != 1 || grace > 0 && holders != callers || grace == 0 && holders != 1 {
			t.Fatalf("%d rotations, %d different pairs, %d of %d callers hold one", wins, len(pairs), holders, callers)
		}
	}
	t.Logf("%d rounds of %d callers: one rotation and one pair each", rounds, callers)
}

// One session per user: of a hundred logins at once exactly one keeps a refresh token, as the legacy server has it.
func TestRaceOfLoginsPastTheLimit(t *testing.T) {
	srv := storagetest.StartRedis(t, storagetest.Options{})
	ctx := context.Background()
	client := standalone(t, srv.Addr)
	var stores []*storage.Store
	for range 3 {
		stores = append(stores, newStore(t, client(), storage.Options{Timeout: 10 * time.Second}))
	}
	c := &storage.Client{ID: "one", Public: true, Grants: []string{"password"}, SessionsPerUser: 1}
	if err := stores[0].PutClient(ctx, c); err != nil {
		t.Fatal(err)
	}
	for round := range scale(5, 20, 200) {
		subject := fmt.Sprint("user", round)
		ids := make([]string, 100)
		var all sync.WaitGroup
		start := make(chan struct{})
		for i := range ids {
			ids[i] = storage.NewSessionID(subject)
			all.Go(func() {
				<-start
				req := sessionRequest(ids[i], subject, c, time.Hour, time.Hour)
				sig := func(name string) string { return storage.Signature(ids[i], name) }
				if err := login(ctx, stores[i%3], sig("a"), sig("r"), req); err != nil {
					t.Errorf("login: %v", err)
				}
			})
		}
		close(start)
		all.Wait()
		good := 0
		for _, id := range ids {
			req := sessionRequest(id, subject, c, time.Hour, time.Hour)
			_, read := stores[0].GetRefreshTokenSession(ctx, storage.Signature(id, "r"), &compact{})
			_, refreshed := stores[1].RefreshSession(ctx, storage.Signature(id, "r"), storage.Signature(id, "b"), "", nil, req)
			if (read == nil) != (refreshed == nil) {
				t.Errorf("the look-up says %v and the refresh %v", read, refreshed)
			}
			if refreshed == nil {
				good++
			}
			if _, err := stores[2].GetAccessTokenSession(ctx, storage.Signature(id, "a"), &compact{}); err != nil {
				t.Errorf("an access token ended with the refresh token: %v", err)
			}
		}
		if good != 1 {
			t.Fatalf("%d of %d refresh tokens are good, want one", good, len(ids))
		}
	}
}

// A new password ends what the old one opened, also what was being opened or refreshed at that moment.
func TestRaceOfANewPasswordWithLoginsAndRefreshes(t *testing.T) {
	srv := storagetest.StartRedis(t, storagetest.Options{})
	ctx := context.Background()
	s := newStore(t, standalone(t, srv.Addr)(), storage.Options{
		Timeout: 10 * time.Second, Password: policy.PasswordCosts{InsecureCheap: true, MemoryKiB: 64, Iterations: 1},
	})
	c := &storage.Client{ID: "race", Public: true, Grants: []string{"password"}}
	if err := s.PutClient(ctx, c); err != nil {
		t.Fatal(err)
	}
	for round := range scale(10, 40, 400) {
		name := fmt.Sprint("user", round)
		if err := s.Users.AddUser(ctx, storage.User{Name: name, Active: true}, "old"); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var ids []string
		open := func() {
			id := storage.NewSessionID(name)
			mu.Lock()
			ids = append(ids, id)
			mu.Unlock()
			tx, err := s.BeginTX(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := s.Authenticate(tx, name, "old"); err == nil {
				_ = login(tx, s, storage.Signature(id, "a"), storage.Signature(id, "r"), sessionRequest(id, name, c, time.Hour, time.Hour))
				_ = s.Commit(tx)
			}
		}
		for range 4 {
			open()
		}
		old := slices.Clone(ids)
		var all sync.WaitGroup
		var changed atomic.Bool
		for range 6 {
			all.Go(func() {
				for !changed.Load() {
					open()
				}
			})
		}
		for _, id := range old {
			all.Go(func() {
				for n := range 3 {
					sig := func(kind string, n int) string { return storage.Signature(id, fmt.Sprint(kind, n)) }
					first := sig("r", n)
					if n == 0 {
						first = storage.Signature(id, "r")
					}
					req := sessionRequest(id, name, c, time.Hour, time.Hour)
					_ = refreshOnce(ctx, s, first, sig("a", n+1), sig("r", n+1), req)
				}
			})
		}
		all.Go(func() {
			defer changed.Store(true)
			time.Sleep(2 * time.Millisecond)
			password := "new"
			if err := s.Users.ChangeUser(ctx, name, storage.UserChange{Password: &password}); err != nil {
				t.Errorf("change: %v", err)
			}
		})
		all.Wait()
		for _, id := range ids {
			for _, token := range []string{"r", "r1", "r2", "r3"} {
				if _, err := s.GetRefreshTokenSession(ctx, storage.Signature(id, token), &compact{}); err == nil {
					t.Errorf("round %d: a refresh token that the old password opened is good", round)
				}
			}
			for _, token := range []string{"a", "a1", "a2", "a3"} {
				if _, err := s.GetAccessTokenSession(ctx, storage.Signature(id, token), &compact{}); err == nil {
					t.Errorf("round %d: an access token that the old password opened is good", round)
				}
			}
		}
		if list, err := s.SessionsOf(ctx, name); err != nil || len(list) > 0 {
			t.Errorf("round %d: sessions %v, error %v; want none", round, list, err)
		}
	}
}
