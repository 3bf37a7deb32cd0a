package storage

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage/storagetest"
	"github.com/opgrant/opgrant/storage/throttle"
)

// Identical guesses at once are one guess and cost one hash, for users that exist and others alike. A stream of them is counted.
func TestIdenticalGuesses(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		for _, name := range []string{"alice", "nobody"} {
			u := limitedUsers(t, r, throttle.Limits{})
			if name == "alice" {
				mustAdd(t, u, "alice", "right", "")
			}
			var stream sync.WaitGroup
			var got results
			for range 8 {
				stream.Go(func() {
					for range 100 {
						got.login(t, u, name, "guess", "192.0.2.1")
					}
				})
			}
			stream.Wait()
			if runs := u.PasswordRuns(); runs > 12 || got.throttled.Load() == 0 || got.failed.Load()+got.throttled.Load() != 800 {
				t.Errorf("%s: %d hashes, %d failed, %d throttled", name, runs, got.failed.Load(), got.throttled.Load())
			}
			if counted, flying := failures(t, u, name); counted != 20 || flying != 0 { // by the user and by the network
				t.Errorf("%s: %d counted, %d in flight", name, counted, flying)
			}
			if len(u.flights.open) != 0 || u.flights.sharing != 0 {
				t.Errorf("%s: %d flights open, %d share one", name, len(u.flights.open), u.flights.sharing)
			}
		}
	})
}

// gate is a go-redis hook that holds the first pipeline back that has a script in it.
type gate struct {
	once    sync.Once
	arrived chan struct{}
	open    chan struct{}
	then    func()
}

func newGate(then func()) *gate {
	return &gate{arrived: make(chan struct{}), open: make(chan struct{}), then: then}
}

func (g *gate) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}
func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if len(cmds) > 0 && (cmds[0].Name() == "evalsha" || cmds[0].Name() == "eval") {
			g.once.Do(func() {
				close(g.arrived)
				<-g.open
				g.then()
			})
		}
		return next(ctx, cmds)
	}
}

// flightOf starts a login that waits at the gate for its reservation, and the same one n times more.
func flightOf(t *testing.T, u *Users, g *gate, n int, login func(i int)) (all *sync.WaitGroup) {
	t.Helper()
	all = new(sync.WaitGroup)
	all.Go(func() { login(0) })
	<-g.arrived
	for i := range n {
		all.Go(func() { login(i + 1) })
	}
	for joined := 0; joined != n; {
		if t.Context().Err() != nil {
			t.Fatalf("%d of %d joined", joined, n)
		}
		u.flights.mutex.Lock()
		joined = u.flights.sharing
		u.flights.mutex.Unlock()
	}
	return all
}

func gatedUsers(t *testing.T, g *gate) *Users {
	t.Helper()
	rdb := storagetest.StartMiniredis(t).Client(t)
	u, err := NewUsers(rdb, Options{Password: cheap, Timeout: hang})
	if err != nil {
		t.Fatal(err)
	}
	mustAdd(t, u, "alice", "right", "")
	rdb.AddHook(g)
	return u
}

// Logins in one flight have one hash. Each has the account for its own unit of work.
func TestAFlightHasOneHash(t *testing.T) {
	for password, want := range map[string]error{"right": nil, "wrong": fosite.ErrNotFound} {
		g := newGate(func() {})
		u := gatedUsers(t, g)
		before := u.PasswordRuns()
		all := flightOf(t, u, g, 39, func(int) {
			ctx, err := (&Tokens{db: u.db}).BeginTX(t.Context())
			if err != nil {
				t.Error(err)
			}
			if _, err := u.Login(ctx, "alice", password, "192.0.2.1"); !errors.Is(err, want) {
				t.Error(err)
			}
			if batchFrom(ctx).known("alice") == nil {
				t.Error("the account was not read")
			}
		})
		close(g.open)
		all.Wait()
		if runs := u.PasswordRuns() - before; runs != 1 || u.LoginStats().Shared != 39 {
			t.Errorf("%s: %d hashes, %+v", password, runs, u.LoginStats())
		}
	}
}

// A password that is changed in the midst of a flight is the one that counts for whoever comes after the change.
func TestAFlightDoesNotOutlastAPassword(t *testing.T) {
	u := testUsers(t, storagetest.StartMiniredis(t))
	mustAdd(t, u, "alice", "old", "")
	ctx, name := t.Context(), "alice"
	f, first := u.flights.join(ctx, u.flights.key.Of(name, "old", "192.0.2.0/24"))
	if !first {
		t.Fatal("not the first")
	}
	before, err := u.reserve(f, "test", name, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	changed := "new"
	if err := u.ChangeUser(ctx, name, UserChange{Password: &changed}); err != nil {
		t.Fatal(err)
	}
	// One who has read the record before the change, and has no result yet, shares with one who comes after it.
	if _, err := u.Login(ctx, name, "old", "192.0.2.1"); !errors.Is(err, fosite.ErrNotFound) || u.LoginStats().Shared != 1 {
		t.Errorf("the old password after the change: %v, %+v", err, u.LoginStats())
	}
	c, err := f.compare(ctx, u, "test", before, name, "old")
	if err != nil || c.result() != throttle.Succeeded {
		t.Errorf("the record from before: %v, %v", c.outcome, err)
	}
	if settled, err := f.settle(ctx, u, "test", c); settled != throttle.Failed || err != nil {
		t.Errorf("settled as %s, %v: it would not be asked again", settled, err)
	}
	u.flights.leave(f)
}

// Who gives up ends nothing for others; when all have given up, the work ends.
func TestGivingUpInAFlight(t *testing.T) {
	g := newGate(func() {})
	u := gatedUsers(t, g)
	given, giveUp := context.WithCancel(t.Context())
	all := flightOf(t, u, g, 2, func(i int) {
		ctx := t.Context()
		if i < 2 {
			ctx = given
		}
		_, err := u.Login(ctx, "alice", "right", "192.0.2.1")
		if i == 2 && err != nil || i == 1 && !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("%d: %v", i, err)
		}
	})
	giveUp()
	for members := 3; members != 1; {
		u.flights.mutex.Lock()
		for _, f := range u.flights.open {
			members = f.members
		}
		u.flights.mutex.Unlock()
	}
	close(g.open)
	all.Wait()

	// Ten attempts in flight leave no room: the next one waits until it gives up.
	for range 10 {
		if _, err := u.Throttle().Reserve(t.Context(), "bob", "192.0.2.1", nil); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	answer := make(chan error, 1)
	go func() {
		_, err := u.Login(ctx, "bob", "right", "192.0.2.1")
		answer <- err
	}()
	for u.Throttle().Stats().Waiting == 0 && t.Context().Err() == nil {
	}
	stop()
	if err := <-answer; !errors.Is(err, fosite.ErrTemporarilyUnavailable) || errors.As(err, new(policy.TooManyAttempts)) {
		t.Errorf("who has given up: %v", err)
	}
	if len(u.flights.open) != 0 || u.Throttle().Stats().Waiting != 0 {
		t.Errorf("%d flights open, %d wait", len(u.flights.open), u.Throttle().Stats().Waiting)
	}
}

// A panic of one login is an error for those that share its work, and nothing waits for ever.
func TestAPanicInAFlight(t *testing.T) {
	g := newGate(func() { panic("hook") })
	u := gatedUsers(t, g)
	all := flightOf(t, u, g, 5, func(i int) {
		defer func() { _ = recover() }() // as the HTTP server does
		if _, err := u.Login(t.Context(), "alice", "right", "192.0.2.1"); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("%d: %v", i, err)
		}
	})
	close(g.open)
	all.Wait()
	if _, err := u.Login(t.Context(), "alice", "right", "192.0.2.1"); err != nil {
		t.Errorf("the next login: %v", err)
	}
}

// A user who is added while a login asks for the user elsewhere is not refused with the right password.
func TestARecordThatAppearsIsCompared(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		missing, err := u.account(ctx, "test", "alice")
		if err != nil || missing.record != nil {
			t.Fatal(err)
		}
		mustAdd(t, u, "alice", "right", "")
		if o := u.compare(ctx, "test", missing, "alice", "right"); o.err != nil || o.user == nil || o.user.Name != "alice" {
			t.Errorf("right password: %+v", o)
		}
		if o := u.compare(ctx, "test", missing, "alice", "wrong"); !errors.Is(o.err, fosite.ErrNotFound) || o.result() != throttle.Failed {
			t.Errorf("wrong password: %+v", o)
		}
	})
}

func TestKeysOfFlights(t *testing.T) {
	s, other := newFlights(), newFlights()
	same := s.key.Of("a", "b", "c")
	if s.key.Of("a", "b", "c") != same || s.key.Of("a", "bc", "") == s.key.Of("ab", "c", "") || s.key.Of("a", "b", "c") == s.key.Of("a", "b", "d") {
		t.Error("the key does not tell logins apart")
	}
	if s.key.Of("a", "b", "c") == other.key.Of("a", "b", "c") {
		t.Error("the key is the same in another process")
	}
}
