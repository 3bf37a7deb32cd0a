package faults_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// oneShard is a Cluster on which a client, a user and the epoch are on nodes that the test has chosen.
type oneShard struct {
	g       *storagetest.Cluster
	keys    redisdb.Keys
	client  *storage.Client
	subject string
	store   *storage.Store
}

// startOneShard puts the client on one node, the epoch on another, and the user with the roles on the third.
func startOneShard(t *testing.T, outage time.Duration, config ...string) *oneShard {
	t.Helper()
	g := storagetest.StartCluster(t, storagetest.Options{Config: append(config, "cluster-require-full-coverage no")})
	s := &oneShard{g: g}
	users := g.PrimaryOf(t, "{roles}")
	find := func(ok func(n int) bool) {
		n := 0
		for !ok(n) {
			n++
		}
	}
	find(func(n int) bool {
		s.keys = redisdb.Keys{Prefix: fmt.Sprint("store", n, ":")}
		return g.PrimaryOf(t, s.keys.Epoch()) != users
	})
	epoch := g.PrimaryOf(t, s.keys.Epoch())
	find(func(n int) bool {
		s.client = &storage.Client{ID: fmt.Sprint("client", n), Public: true, Grants: []string{"password", "refresh_token"}}
		node := g.PrimaryOf(t, s.keys.Client(s.client.ID))
		return node != users && node != epoch
	})
	find(func(n int) bool {
		s.subject = fmt.Sprint("user", n)
		return g.PrimaryOf(t, s.keys.User(redisdb.SubjectTag(s.subject))) == users
	})
	s.store = s.process(t, outage)
	if err := s.store.PutClient(t.Context(), s.client); err != nil {
		t.Fatal(err)
	}
	if err := s.store.Users.AddUser(t.Context(), storage.User{Name: s.subject, Active: true}, "one"); err != nil {
		t.Fatal(err)
	}
	return s
}

// process is a store as another server has it.
func (s *oneShard) process(t *testing.T, outage time.Duration) *storage.Store {
	t.Helper()
	return newStore(t, connect(t, redis.UniversalOptions{Addrs: s.g.Addrs()})(), storage.Options{
		Prefix: s.keys.Prefix, ShardOutage: outage,
		Password: policy.PasswordCosts{InsecureCheap: true, MemoryKiB: 64, Iterations: 1, Parallelism: 1},
	})
}

// shardSession is a login of the user at the client.
type shardSession struct {
	of     *oneShard
	id     string
	number int
}

func (s *oneShard) login(ctx context.Context) (*shardSession, error) {
	if _, err := s.store.Users.VerifyPassword(ctx, s.subject, "one", ""); err != nil { // the counter of a network may be anywhere
		return nil, fmt.Errorf("password: %w", err)
	}
	if _, err := s.store.Client(ctx, s.client.ID); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	l := &shardSession{of: s, id: storage.NewSessionID(s.subject)}
	return l, login(ctx, s.store, l.signature("a", 0), l.signature("r", 0), l.request())
}

func (l *shardSession) signature(kind string, number int) string {
	return storage.Signature(l.id, fmt.Sprint(kind, number))
}

func (l *shardSession) request() *fosite.Request {
	return sessionRequest(l.id, l.of.subject, l.of.client, time.Hour, time.Hour)
}

// use introspects the access token and rotates the refresh token.
func (l *shardSession) use(ctx context.Context) error {
	s := l.of.store
	if _, err := s.GetAccessTokenSession(ctx, l.signature("a", l.number), &compact{}); err != nil {
		return fmt.Errorf("introspection: %w", err)
	}
	if _, err := s.GetRefreshTokenSession(ctx, l.signature("r", l.number), &compact{}); err != nil {
		return fmt.Errorf("look-up: %w", err)
	}
	next := l.number + 1
	_, err := s.RefreshSession(ctx, l.signature("r", l.number), l.signature("a", next), l.signature("r", next), []byte("answer"), l.request())
	if err != nil {
		return fmt.Errorf("refresh: %w", err)
	}
	l.number = next
	return nil
}

// serves fails the test unless a login, what follows it and a revocation work, for the time given.
func (s *oneShard) serves(t *testing.T, old *shardSession, long time.Duration) {
	t.Helper()
	ctx, begun, rounds, slowest := t.Context(), time.Now(), 0, time.Duration(0)
	for ; time.Since(begun) < long; rounds++ {
		at := time.Now()
		l, err := s.login(ctx)
		if err == nil {
			err = errors.Join(l.use(ctx), old.use(ctx), s.store.RevokeSession(ctx, l.id))
		}
		if err != nil {
			t.Fatalf("after %v: %v", time.Since(begun), err)
		}
		slowest = max(slowest, time.Since(at))
	}
	t.Logf("%d rounds in %v, the slowest %v", rounds, time.Since(begun).Round(time.Millisecond), slowest.Round(time.Millisecond))
}

func isUnavailable(err error) bool {
	return errors.Is(err, fosite.ErrTemporarilyUnavailable) && !errors.Is(err, fosite.ErrNotFound)
}

// The node of a client, or of the epoch, is silent and nobody takes over: the others serve, until the bound.
func TestOneSilentShard(t *testing.T) {
	for name, keyOf := range map[string]func(s *oneShard) string{
		"client": func(s *oneShard) string { return s.keys.Client(s.client.ID) },
		"epoch":  func(s *oneShard) string { return s.keys.Epoch() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outage, silence := 8*time.Second, 3*time.Second
			if full() {
				outage, silence = 20*time.Second, 10*time.Second
			}
			s := startOneShard(t, outage, "cluster-node-timeout 120000")
			ctx := t.Context()
			old, err := s.login(ctx)
			if err != nil {
				t.Fatal(err)
			}
			node := s.g.PrimaryOf(t, keyOf(s))
			node.Freeze(t)
			defer node.Thaw(t)
			s.serves(t, old, silence)
			if name == "epoch" {
				if err := s.process(t, outage).RevokeSession(ctx, old.id); !isUnavailable(err) {
					t.Errorf("a process that has never read the epoch: %v, want unavailable", err)
				}
			}
			if _, err := s.process(t, outage).Client(ctx, s.client.ID); !isUnavailable(err) {
				t.Errorf("a process that has never read the client: %v, want unavailable", err)
			}
			until(t, "the bound", func() bool {
				err := old.use(ctx)
				if err != nil && !isUnavailable(err) {
					t.Fatalf("refused: %v", err)
				}
				return err != nil
			})
			if err := old.use(ctx); !isUnavailable(err) {
				t.Errorf("after the bound: %v, want unavailable", err)
			}
			node.Thaw(t)
			until(t, "the node is back", func() bool { return old.use(ctx) == nil })
			s.serves(t, old, time.Second)
		})
	}
}

// The node of a client, or of the epoch, is silent until its replica takes over: nothing fails meanwhile. Then a client that another
// process removes is unknown after Options.ClientCache.
func TestOneShardFailsOver(t *testing.T) {
	for name, keyOf := range map[string]func(s *oneShard) string{
		"client": func(s *oneShard) string { return s.keys.Client(s.client.ID) },
		"epoch":  func(s *oneShard) string { return s.keys.Epoch() },
	} {
		t.Run(name, func(t *testing.T) {
			if name == "client" && !full() {
				t.Skip("set OPGRANT_TEST_FAULTS=full")
			}
			t.Parallel()
			s := startOneShard(t, 0)
			ctx := t.Context()
			old, err := s.login(ctx)
			if err != nil {
				t.Fatal(err)
			}
			node := s.g.PrimaryOf(t, keyOf(s))
			node.Freeze(t)
			s.serves(t, old, 15*time.Second)
			if s.g.PrimaryOf(t, keyOf(s)) == node {
				t.Error("nobody has taken over")
			}
			node.Thaw(t)
			s.serves(t, old, 2*time.Second)
			until(t, "another process removes the client", func() bool { return s.process(t, 0).RemoveClient(ctx, s.client.ID) == nil })
			time.Sleep(3 * time.Second) // the default of Options.ClientCache
			if _, err := s.store.Client(ctx, s.client.ID); !errors.Is(err, fosite.ErrNotFound) || isUnavailable(err) {
				t.Errorf("a client that was removed: %v", err)
			}
		})
	}
}
