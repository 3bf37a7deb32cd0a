package faults_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// check lets porcupine check every history. It returns how many are illegal, and for how many the time was too short.
func (e *engine) check(logf func(string, ...any)) (illegal, unchecked int) {
	var bad, open atomic.Int64
	var first sync.Once
	work := make(chan *session)
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for f := range work {
				result, info := porcupine.CheckOperationsVerbose(sessionModel, f.history, time.Minute)
				switch result {
				case porcupine.Illegal:
					bad.Add(1)
					first.Do(func() { show(logf, f, info) })
				case porcupine.Unknown:
					open.Add(1)
				}
			}
		})
	}
	for _, f := range e.sessions {
		work <- f
	}
	close(work)
	all.Wait()
	return int(bad.Load()), int(open.Load())
}

// verify fails the test unless every history is legal.
func (e *engine) verify(t *testing.T) {
	t.Helper()
	illegal, unchecked := e.check(t.Logf)
	for _, o := range e.odd {
		t.Errorf("an unexpected error: %s", o)
	}
	withCode, redeemed, inDoubt := e.codes()
	t.Logf("%d operations in %d sessions, %d with a code (%d redeemed, %d redemptions in doubt), %d of unknown outcome, %d deliberate replays, slowest call %v: %d illegal, %d not checked in time",
		e.ops.Load(), len(e.sessions), withCode, redeemed, inDoubt, e.unknowns.Load(), e.replays.Load(), time.Duration(e.slowest.Load()).Round(time.Millisecond), illegal, unchecked)
	if illegal > 0 || unchecked > 0 {
		t.Errorf("%d illegal and %d unchecked histories, want none", illegal, unchecked)
	}
}

// show logs an illegal history and writes porcupine's picture of it to a file.
func show(logf func(string, ...any), f *session, info porcupine.LinearizationInfo) {
	ops := slices.Clone(f.history)
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	text := ""
	for _, op := range ops {
		text += fmt.Sprintf("%12d %12d  %s\n", op.Call/1000, min(op.Return/1000, 999999999999), describe(op.Input.(call), op.Output.(result)))
	}
	picture := filepath.Join(os.TempDir(), "opgrant-history-"+f.id[:8]+".html")
	if err := porcupine.VisualizePath(sessionModel, info, picture); err != nil {
		picture = err.Error()
	}
	logf("not linearizable, times in µs (picture: %s):\n%s", picture, text)
}

// sent counts how often a script with a new access token reached a proxy. More than once means that the client has sent it
// again.
type sent struct{ times sync.Map } // :: hash of the new access token, as scripts have it → *atomic.Int64

const rawHash = 12 // bytes

func (s *sent) match(words []string) bool {
	if kind := strings.ToUpper(words[0]); kind != "EVAL" && kind != "EVALSHA" {
		return false
	}
	for _, w := range words[1:] {
		if len(w) == rawHash {
			n, _ := s.times.LoadOrStore(w, new(atomic.Int64))
			n.(*atomic.Int64).Add(1)
		}
	}
	return true
}

func (s *sent) again(hash string) bool {
	n, ok := s.times.Load(redisdb.RawName(hash)[:rawHash])
	return ok && n.(*atomic.Int64).Load() > 1
}

// servers returns n stores on one Redis, each behind a proxy of its own.
func servers(t *testing.T, addr string, n int, faults storagetest.Faults, client func(*testing.T, string) func() redis.UniversalClient) ([]tokenStore, []*storagetest.Proxy) {
	t.Helper()
	var stores []tokenStore
	var proxies []*storagetest.Proxy
	for range n {
		p := storagetest.StartProxy(t, addr)
		p.Set(faults)
		stores = append(stores, newStore(t, client(t, p.Addr)(), storage.Options{}))
		proxies = append(proxies, p)
	}
	return stores, proxies
}

func (e *engine) register(t *testing.T, addr string) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = c.Close() })
	s := newStore(t, c, storage.Options{Password: cheapPasswords})
	if err := s.PutClient(context.Background(), e.client); err != nil {
		t.Fatal(err)
	}
	e.users = s.Users
}

// The results of three servers on one Redis must be linearizable for each session, while one script in twenty loses its reply and
// some are cut off before they run.
func TestLinearizable(t *testing.T) {
	total := scale(100_000, 1_000_000)
	for name, mode := range map[string]struct {
		strict bool
		client func(*testing.T, string) func() redis.UniversalClient
	}{
		"strict": {true, once}, "grace": {false, once}, "strict, with retries": {true, standalone}, "grace, with retries": {false, standalone},
	} {
		t.Run(name, func(t *testing.T) {
			srv := storagetest.StartRedis(t, storagetest.Options{})
			var scripts sent
			stores, proxies := servers(t, srv.Addr, 3, storagetest.Faults{CutAfter: 0.05, CutBefore: 0.01, Match: scripts.match}, mode.client)
			done, redeemed, inDoubt := 0, 0, 0
			for done < total/4 {
				e := newEngine(mode.strict, stores...)
				e.sentAgain = scripts.again
				e.register(t, srv.Addr)
				// A grace lasts at most a minute, but forever in the model: histories must be shorter than a minute.
				deadline := time.Now().Add(40 * time.Second)
				budget := e.untilOps(min(total/4-done, 50_000))
				e.run(func() bool { return budget() || time.Now().After(deadline) })
				e.settle(t)
				e.verify(t)
				done += int(e.ops.Load())
				_, r, d := e.codes()
				redeemed, inDoubt = redeemed+r, inDoubt+d
			}
			var cuts int64
			for _, p := range proxies {
				_, after := p.Cuts()
				cuts += after
			}
			if cuts == 0 || redeemed == 0 || inDoubt == 0 {
				t.Error("the test shows nothing")
			}
			t.Logf("%d operations, %d scripts whose reply was cut off, %d codes redeemed, %d redemptions in doubt or sent again",
				done, cuts, redeemed, inDoubt)
		})
	}
}

// racy refreshes by check-then-set, in two steps.
type racy struct{ *storage.Store }

func (r racy) RefreshSession(ctx context.Context, presented, access, refresh string, _ []byte, req fosite.Requester) ([]byte, error) {
	if _, err := r.GetRefreshTokenSession(ctx, presented, &compact{}); err != nil {
		return nil, err
	}
	if err := r.CreateAccessTokenSession(ctx, access, req); err != nil || refresh == "" {
		return nil, err
	}
	return nil, r.CreateRefreshTokenSession(ctx, refresh, access, req)
}

func TestLinearizabilityTestCatchesARacyStore(t *testing.T) {
	srv := storagetest.StartRedis(t, storagetest.Options{})
	stores, _ := servers(t, srv.Addr, 1, storagetest.Faults{}, once)
	e := newEngine(true, racy{stores[0].(*storage.Store)})
	e.register(t, srv.Addr)
	e.run(e.untilOps(2_000))
	if illegal, _ := e.check(func(string, ...any) {}); illegal == 0 {
		t.Errorf("%d operations on a check-then-set store, and no history is illegal", e.ops.Load())
	} else {
		t.Logf("caught in %d of %d sessions", illegal, len(e.sessions))
	}
}
