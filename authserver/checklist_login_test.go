package authserver_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
	"github.com/opgrant/opgrant/storage/throttle"
)

func (w *world) try(client, username, password string) reply {
	w.t.Helper()
	return w.post("/oauth2/token", client, "grant_type", "password", "username", username, "password", password)
}

func (w *world) addUser(name, password string, active bool) {
	w.t.Helper()
	check(w.t, w.store.Users.AddUser(w.t.Context(), storage.User{Name: name, Active: active}, password))
}

func refusalsLookTheSame(t *testing.T) {
	w := onFake(t)
	w.addUser("gone", "right", false)
	w.addUser("brute", "right", true)
	w.start(func(c *authserver.Config) {
		c.Throttle = w.store.Users.NewThrottle(throttle.Limits{PerUser: throttle.Limit{Failures: 5, Period: time.Hour}})
	})
	same := func(what string, a, b reply) {
		t.Helper()
		a.header.Del("Date")
		b.header.Del("Date")
		if a.status != b.status || a.raw != b.raw || !cmp.Equal(a.header, b.header) {
			t.Errorf("%s:\n%d %s %v\n%d %s %v", what, a.status, a.raw, a.header, b.status, b.raw, b.header)
		}
	}
	for _, client := range []string{"web", "old"} {
		unknown := w.try(client, "nobody "+client, "x")
		same("wrong password", unknown, w.try(client, "alice", "x"))
		same("disabled, right password", unknown, w.try(client, "gone", "right"))
		same("disabled, wrong password", unknown, w.try(client, "gone", "x"))
	}
	var known, unknown reply
	for range 6 {
		known, unknown = w.try("web", "brute", "x"), w.try("web", "phantom", "x")
	}
	if known.status != http.StatusTooManyRequests {
		t.Fatalf("not throttled: %d", known.status)
	}
	known.header.Set("Retry-After", unknown.header.Get("Retry-After")) // they were tried a moment apart
	same("throttled", known, unknown)
	right := w.try("web", "brute", "right")
	right.header.Set("Retry-After", unknown.header.Get("Retry-After"))
	same("throttled, right password", right, unknown)
}

// Three kinds of refusal compute one hash each. With OPGRANT_TEST_FAULTS their times are compared too, at real costs and
// interleaved: the first name is unknown, so a difference to it is what an attacker looks for.
func refusalsTakeTheSameTime(t *testing.T) {
	rdb := storagetest.StartMiniredis(t).Client(t)
	w := newWorld(t, rdb)
	w.addUser("known", "right", true)
	w.addUser("gone", "right", false)
	names := [3]string{"nobody", "known", "gone"}
	for _, name := range names {
		before := w.store.Users.PasswordRuns()
		w.want(name, w.try("app", name, "wrong"), 400, "invalid_grant")
		if runs := w.store.Users.PasswordRuns() - before; runs != 1 {
			t.Errorf("%s: %d hashes, want 1", name, runs)
		}
	}
	if os.Getenv("OPGRANT_TEST_FAULTS") == "" {
		return
	}
	store, err := storage.New(rdb, storage.Options{ClientCache: time.Hour}) // hashes as in production
	check(t, err)
	w.store = store
	w.addUser("known at real costs", "right", true)
	w.addUser("gone at real costs", "right", false)
	w.start(nil)
	names = [3]string{"nobody", "known at real costs", "gone at real costs"}
	const rounds = 21
	for attempt := 1; ; attempt++ { // another process may have taken the core, but not every time
		var took [3][]time.Duration
		for range rounds {
			for i, name := range names {
				start := time.Now()
				w.want(name, w.try("app", name, "wrong"), 400, "invalid_grant")
				took[i] = append(took[i], time.Since(start))
			}
		}
		worst := 0.0
		for i := range took {
			slices.Sort(took[i])
			if d := float64(took[i][rounds/2])/float64(took[0][rounds/2]) - 1; d*d > worst*worst {
				worst = d
			}
		}
		t.Logf("medians %v %v %v, worst difference %.1f%%", took[0][rounds/2], took[1][rounds/2], took[2][rounds/2], 100*worst)
		if worst < 0.05 && worst > -0.05 {
			return
		}
		if attempt == 6 {
			t.Fatalf("refusals differ by %.1f%%, six times", 100*worst)
		}
	}
}

func longPasswordsCostNothing(t *testing.T) {
	w := onFake(t)
	before := w.store.Users.PasswordRuns()
	for _, n := range []int{1025, 4096, 16 << 10} {
		if r := w.try("web", "alice", strings.Repeat("x", n)); r.status != 400 {
			t.Errorf("%d bytes: %d %s", n, r.status, r.raw)
		}
	}
	if runs := w.store.Users.PasswordRuns() - before; runs != 0 {
		t.Errorf("%d hashes", runs)
	}
}

func namesAreBytes(t *testing.T) {
	w := onFake(t)
	w.addUser("ａｌｉｃｅ", "full width", true)
	w.addUser("Alice", "capital", true)
	for name, password := range map[string]string{"alice": "wonder land", "ａｌｉｃｅ": "full width", "Alice": "capital"} {
		for other := range map[string]bool{"alice": true, "ａｌｉｃｅ": true, "Alice": true} {
			want := 400
			if other == name {
				want = 200
			}
			if r := w.try("web", other, password); r.status != want {
				t.Errorf("password of %q at %q: %d", name, other, r.status)
			}
		}
	}
	for _, name := range []string{" alice", "alice ", "alice\x00", "al*ce", "{alice}"} {
		w.want(name, w.try("web", name, "wonder land"), 400, "invalid_grant")
	}
}

func oneThrottleForAll(t *testing.T) {
	w := onFake(t)
	limit := func(c *authserver.Config) {
		c.Throttle = w.store.Users.NewThrottle(throttle.Limits{PerUser: throttle.Limit{Failures: 10, Period: time.Hour}})
	}
	w.start(limit)
	legacy, err := compat.New(compat.Config{Token: w.server.Token(), ClientID: "old"})
	check(t, err)
	operation := func(password string) int {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`{"operation":"create_authentication_tokens","username":"alice","password":"`+password+`"}`))
		req.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		legacy.ServeHTTP(rec, req)
		return rec.Code
	}
	for range 5 {
		w.want("standard door", w.try("web", "alice", "x"), 400, "invalid_grant")
		if status := operation("x"); status != http.StatusUnauthorized {
			t.Errorf("legacy door: %d", status)
		}
	}
	if r := w.try("web", "alice", "wonder land"); r.status != 429 {
		t.Errorf("standard door after ten failures: %d", r.status)
	}
	if status := operation("wonder land"); status != 429 {
		t.Errorf("legacy door after ten failures: %d", status)
	}
	w.store, w.keys = newStore(t, w.rdb)
	w.start(limit)
	if r := w.try("other", "alice", "wonder land"); r.status != 429 {
		t.Errorf("another replica: %d", r.status)
	}
}

func floodOfLogins(t *testing.T) {
	rdb := storagetest.StartMiniredis(t).Client(t)
	w := newWorld(t, rdb)
	store, err := storage.New(rdb, storage.Options{
		ClientCache: time.Hour, Timeout: hang, Password: policy.PasswordCosts{InsecureCheap: true, MemoryKiB: 32 << 10, Iterations: 4},
	})
	check(t, err)
	w.store = store
	w.addUser("busy", "right", true)
	w.start(nil)
	var all sync.WaitGroup
	replies := make([]reply, 30*runtime.GOMAXPROCS(0)) // more than the hashes that are computed while a login waits
	for i := range replies {
		all.Go(func() { replies[i] = w.try("app", "busy", "right") })
	}
	all.Wait()
	counts := map[int]int{}
	for _, r := range replies {
		counts[r.status]++
		if r.status == http.StatusServiceUnavailable {
			wantUnavailable(t, "shed login", r)
		}
	}
	if counts[200] == 0 || counts[503] == 0 || counts[200]+counts[503] != len(replies) {
		t.Errorf("answers: %v, want some 200 and the rest 503", counts)
	}
}
