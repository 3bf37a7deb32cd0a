package opgrant_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestTwoHundredUsersOfTheOldServerLogInAtOnce(t *testing.T) {
	old := startOldServer(t)
	s, site := startMoving(t, old, nil)
	burst := make(chan struct{}) // closed when as many questions are under way as may be
	var full sync.Once
	old.answer(func(w http.ResponseWriter, r *http.Request) {
		if old.atOnce() == 64 {
			full.Do(func() { close(burst) })
		}
		<-burst
		old.known.ServeHTTP(w, r)
	})
	ways := []wayIn{waysIn[0], waysIn[2], waysIn[6]}
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			name := fmt.Sprint("old", i)
			ways[i%len(ways)].wants(t, site, name, name+"pw", http.StatusOK)
		})
	}
	all.Wait()
	if n := len(old.questions()); n != 200 || old.atOnce() > 64 {
		t.Errorf("%d questions, %d at once", n, old.atOnce())
	}
	if list, err := s.Store.Users.ListUsers(t.Context()); err != nil || len(list) != 201 {
		t.Errorf("%d users, %v", len(list), err)
	}
}

func TestOneUserOfTheOldServerLogsInFortyTimesAtOnce(t *testing.T) {
	old := startOldServer(t)
	s, site := startMoving(t, old, nil)
	before := s.Store.Users.PasswordRuns()
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() { waysIn[[]int{0, 1, 2, 3, 6}[i%5]].wants(t, site, "olga", "olgapw", http.StatusOK) })
	}
	all.Wait()
	if asked := old.questions(); !slices.Equal(asked, []string{"user_info olga"}) {
		t.Errorf("asked %q", asked)
	}
	if runs := s.Store.Users.PasswordRuns() - before; runs > 40 {
		t.Errorf("%d hashes", runs)
	}
}

func TestAnImportIsCompletedWithoutItsCaller(t *testing.T) {
	for _, way := range []wayIn{waysIn[0], waysIn[2], waysIn[6]} {
		old := startOldServer(t)
		s, site := startMoving(t, old, nil)
		arrived, goOn := make(chan struct{}), make(chan struct{})
		old.answer(func(w http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-goOn
			old.known.ServeHTTP(w, r)
		})
		ctx, hangUp := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, _, _, err := way.enter(ctx, site, "olga", "olgapw")
			ended <- err
		}()
		<-arrived
		hangUp()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", way.name, err)
		}
		close(goOn)
		deadline := time.Now().Add(30 * time.Second)
		for {
			_, err := s.Store.Users.User(t.Context(), "olga")
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: not imported: %v", way.name, err)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func TestTwoServersImportTheSameUser(t *testing.T) {
	old := startOldServer(t)
	shared := storagetest.StartInstance(t).Addr
	on := func(c *opgrant.Config) {
		c.Redis = storage.Connect(redis.UniversalOptions{Addrs: []string{shared}})
		t.Cleanup(func() { _ = c.Redis.Close() })
	}
	_, one := startMoving(t, old, on)
	_, two := startMoving(t, old, func(c *opgrant.Config) {
		on(c)
		c.Prepare = nil
	})
	var both sync.WaitGroup
	both.Add(2)
	old.answer(func(w http.ResponseWriter, r *http.Request) {
		both.Done() // a third question would be one too many
		both.Wait()
		old.known.ServeHTTP(w, r)
	})
	var all sync.WaitGroup
	for i := range 20 {
		for _, site := range []*httptest.Server{one, two} {
			all.Go(func() { waysIn[[]int{0, 2, 6}[i%3]].wants(t, site, "olga", "olgapw", http.StatusOK) })
		}
	}
	all.Wait()
}
