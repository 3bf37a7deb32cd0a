package redisserver_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// A new password ends all sessions of the user, also those that are created or refreshed at the same time with the old one.
func TestPasswordChangeDuringLoginsAndRefreshes(t *testing.T) {
	t.Parallel()
	s := newStore(t, connect(t, storagetest.StartInstance(t).Addr))
	c := &storage.Client{ID: "race", Public: true, Grants: []string{"password"}}
	put(t, s, c)
	for round := range rounds(10, 40, 400) {
		name := fmt.Sprint("user", round)
		if err := s.Users.AddUser(t.Context(), storage.User{Name: name, Active: true}, "old"); err != nil {
			t.Fatal(err)
		}
		for _, id := range changeDuringTraffic(t, s, c, name) {
			for _, token := range []string{"r0", "r1", "r2", "r3"} {
				if _, err := s.GetRefreshTokenSession(t.Context(), storage.Signature(id, token), &storagetest.Session{}); err == nil {
					t.Errorf("round %d: a refresh token of the old password is valid", round)
				}
			}
			for _, token := range []string{"a0", "a1", "a2", "a3"} {
				if _, err := s.GetAccessTokenSession(t.Context(), storage.Signature(id, token), &storagetest.Session{}); err == nil {
					t.Errorf("round %d: an access token of the old password is valid", round)
				}
			}
		}
		if list, err := s.SessionsOf(t.Context(), name); err != nil || len(list) > 0 {
			t.Errorf("round %d: sessions %v, error %v; want none", round, list, err)
		}
	}
}

// changeDuringTraffic changes the user's password while others log in and refresh. It returns the sessions that the old
// password has created.
func changeDuringTraffic(t *testing.T, s *storage.Store, c *storage.Client, name string) []string {
	t.Helper()
	ctx := t.Context()
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
			_ = login(tx, s, storage.Signature(id, "a0"), storage.Signature(id, "r0"), request(id, name, c))
			_ = s.Commit(tx)
		}
	}
	for range 4 {
		open()
	}
	first := slices.Clone(ids)
	var all sync.WaitGroup
	var changed atomic.Bool
	underWay := make(chan struct{})
	var once sync.Once
	for range 6 {
		all.Go(func() {
			for !changed.Load() {
				open()
				once.Do(func() { close(underWay) })
			}
		})
	}
	for _, id := range first {
		all.Go(func() {
			for n := range 3 {
				sig := func(kind string, n int) string { return storage.Signature(id, fmt.Sprint(kind, n)) }
				_ = refresh(ctx, s, sig("r", n), sig("a", n+1), sig("r", n+1), request(id, name, c))
			}
		})
	}
	all.Go(func() {
		defer changed.Store(true)
		<-underWay
		password := "new"
		if err := s.Users.ChangeUser(ctx, name, storage.UserChange{Password: &password}); err != nil {
			t.Errorf("change: %v", err)
		}
	})
	all.Wait()
	return ids
}
