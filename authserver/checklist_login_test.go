package authserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/throttle"
	"github.com/ory/fosite"
)

func refusalsLookTheSame(t *testing.T) {
	ts := onFake(t)
	ts.addUser("gone", "right", false)
	ts.addUser("brute", "right", true)
	ts.withLimits(throttle.Limits{PerUserNetwork: 5, Window: time.Hour}, nil)
	same := func(what string, a, b reply) {
		t.Helper()
		a.header.Del("Date")
		b.header.Del("Date")
		if a.status != b.status || a.raw != b.raw || !cmp.Equal(a.header, b.header) {
			t.Errorf("%s:\n%d %s %v\n%d %s %v", what, a.status, a.raw, a.header, b.status, b.raw, b.header)
		}
	}
	for _, client := range []string{"web", "old"} {
		unknown := ts.try(client, "nobody "+client, "x")
		same("wrong password", unknown, ts.try(client, "alice", "x"))
		same("disabled, right password", unknown, ts.try(client, "gone", "right"))
		same("disabled, wrong password", unknown, ts.try(client, "gone", "x"))
	}
	var known, unknown reply
	for range 6 {
		known, unknown = ts.try("web", "brute", "x"), ts.try("web", "phantom", "x")
	}
	if known.status != http.StatusTooManyRequests {
		t.Fatalf("not throttled: %d", known.status)
	}
	known.header.Set("Retry-After", unknown.header.Get("Retry-After")) // they were tried a moment apart
	same("throttled", known, unknown)
	right := ts.try("web", "brute", "right")
	right.header.Set("Retry-After", unknown.header.Get("Retry-After"))
	same("throttled, right password", right, unknown)
}

// refusalsCostTheSame counts hashes, on which the time of a refusal depends. TestLoginTiming of package opgrant measures it.
func refusalsCostTheSame(t *testing.T) {
	ts := onFake(t)
	ts.addUser("known", "right", true)
	ts.addUser("gone", "right", false)
	for name, password := range map[string]string{"nobody": "wrong", "known": "wrong", "gone": "right"} {
		before := ts.store.Users.PasswordRuns()
		ts.want(name, ts.try("app", name, password), 400, "invalid_grant")
		if runs := ts.store.Users.PasswordRuns() - before; runs != 1 {
			t.Errorf("%s: %d hashes", name, runs)
		}
	}
}

func longPasswordsCostNothing(t *testing.T) {
	ts := onFake(t)
	before := ts.store.Users.PasswordRuns()
	for _, n := range []int{storage.MaxPassword + 1, 128 << 10, 200 << 10} {
		if r := ts.try("web", "alice", strings.Repeat("x", n)); r.status != 400 {
			t.Errorf("%d bytes: %d %s", n, r.status, r.raw)
		}
	}
	if runs := ts.store.Users.PasswordRuns() - before; runs != 0 {
		t.Errorf("%d hashes", runs)
	}
}

func namesAreBytes(t *testing.T) {
	ts := onFake(t)
	wide := storage.User{Name: "ａｌｉｃｅ", Active: true} // only imports bring it: AddUser takes one form of a name
	check(t, ts.store.Users.AddVerifiedUser(t.Context(), wide, "full width"))
	ts.addUser("Alice", "capital", true)
	for name, password := range map[string]string{"alice": "wonder land", "ａｌｉｃｅ": "full width", "Alice": "capital"} {
		for other := range map[string]bool{"alice": true, "ａｌｉｃｅ": true, "Alice": true} {
			want := 400
			if other == name {
				want = 200
			}
			if r := ts.try("web", other, password); r.status != want {
				t.Errorf("password of %q at %q: %d", name, other, r.status)
			}
		}
	}
	for _, name := range []string{" alice", "alice ", "alice\x00", "al*ce", "{alice}"} {
		ts.want(name, ts.try("web", name, "wonder land"), 400, "invalid_grant")
	}
}

func oneThrottleForAll(t *testing.T) {
	ts := onFake(t)
	limits := throttle.Limits{PerUserNetwork: 10, Window: time.Hour}
	ts.withLimits(limits, nil)
	operations, err := compat.New(compat.Config{Token: ts.server.Token(), ClientID: "old"})
	check(t, err)
	operation := func(password string) int {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`{"operation":"create_authentication_tokens","username":"alice","password":"`+password+`"}`))
		req.RemoteAddr = "127.0.0.1:4000" // that of the other requests
		req.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		operations.ServeHTTP(rec, req)
		return rec.Code
	}
	for range 5 {
		ts.want("the OAuth endpoint", ts.try("web", "alice", "x"), 400, "invalid_grant")
		if status := operation("x"); status != http.StatusUnauthorized {
			t.Errorf("the operations API: %d", status)
		}
	}
	if r := ts.try("web", "alice", "wonder land"); r.status != 429 {
		t.Errorf("the OAuth endpoint after ten failures: %d", r.status)
	}
	if status := operation("wonder land"); status != 429 {
		t.Errorf("the operations API after ten failures: %d", status)
	}
	ts.withLimits(limits, nil)
	if r := ts.try("other", "alice", "wonder land"); r.status != 429 {
		t.Errorf("another replica: %d", r.status)
	}
}

// overloadIs503 sends more logins than there is room for hashes.
func overloadIs503(t *testing.T) {
	ts := onFake(t)
	users := &busyUsers{Users: ts.store.Users, room: make(chan struct{}, 2), refused: make(chan struct{}, 60), finish: make(chan struct{})}
	ts.start(func(c *authserver.Config) { c.Users = users })
	var all sync.WaitGroup
	replies := make([]reply, cap(users.refused))
	for i := range replies {
		all.Go(func() { replies[i] = ts.try("app", "alice", "wonder land") })
	}
	for range len(replies) - cap(users.room) {
		<-users.refused
	}
	close(users.finish)
	all.Wait()
	counts := map[int]int{}
	for _, r := range replies {
		counts[r.status]++
		if r.status == http.StatusServiceUnavailable {
			wantUnavailable(t, "login", r, 0)
		}
	}
	if counts[200] != cap(users.room) || counts[200]+counts[503] != len(replies) {
		t.Errorf("%v, want %d times 200 and otherwise 503", counts, cap(users.room))
	}
}

// busyUsers has room for a few logins, which take until finish is closed, and refuses others as the store does when every
// core is busy with hashes.
type busyUsers struct {
	authserver.Users
	room, refused, finish chan struct{}
}

func (u *busyUsers) Login(ctx context.Context, name, password, address string) (string, error) {
	select {
	case u.room <- struct{}{}:
		<-u.finish
		return u.Users.Login(ctx, name, password, address)
	default:
		u.refused <- struct{}{}
		return "", fosite.ErrTemporarilyUnavailable
	}
}
