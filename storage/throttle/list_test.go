package throttle

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestListAndClear(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		th, ctx := testThrottle(t, r, Limits{PerUserNetwork: 2, PerClient: 2, Window: time.Hour}), t.Context()
		attempt(t, th, "alice", "192.0.2.1", Succeeded)
		for range 2 {
			attempt(t, th, "alice", "198.51.100.1", Failed)
		}
		reserve(t, th, "alice", "203.0.113.1")
		for i := range 2 {
			wrong(t, th, "web", fmt.Sprint(i), "192.0.2.1")
		}
		// What an earlier version has left is not counted.
		if err := th.db.Client.Set(ctx, th.db.Keys.Prefix+"f:{old}", "1 x", time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		show := func(list []Entry) string {
			var lines []string
			for _, e := range list {
				lines = append(lines, fmt.Sprintf("%s %s %s %d/%d %d %v", e.Kind, e.Name, e.Network, e.Failures, e.Limit, e.InFlight, !e.RetryAt.IsZero()))
				if free := time.Until(e.FreeAt); free <= 0 || free > 24*time.Hour {
					t.Errorf("free in %v", free)
				}
			}
			return strings.Join(lines, "\n")
		}
		list, err := th.List(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{
			"user alice 198.51.100.0/24 2/2 0 true", "user alice  3/1000 1 false", "user alice 203.0.113.0/24 1/2 1 false",
			"network 198.51.100.0/24  2/1000 0 false", "client web 192.0.2.0/24 2/2 0 true",
		} {
			if !strings.Contains(show(list), line) {
				t.Errorf("%q is not in\n%s", line, show(list))
			}
		}
		if len(list) != 6 {
			t.Errorf("%d entries", len(list))
		}
		of, known, err := th.ListUser(ctx, "alice")
		if err != nil || len(of) != 3 || len(known) != 1 || known[0].Network != "192.0.2.0/24" {
			t.Errorf("%+v, %+v, %v", of, known, err)
		}

		cleared := func(what string, want int) func(int, error) {
			return func(n int, err error) {
				t.Helper()
				if n != want || err != nil {
					t.Errorf("%s: %d, %v, want %d", what, n, err, want)
				}
			}
		}
		cleared("user", 3)(th.ClearUser(ctx, "alice", false))
		cleared("user, again", 0)(th.ClearUser(ctx, "alice", false))
		cleared("network", 1)(th.ClearNetwork(ctx, "198.51.100.77"))
		cleared("network by prefix", 1)(th.ClearNetwork(ctx, "203.0.113.0/24"))
		cleared("client", 1)(th.ClearClient(ctx, "web"))
		for _, bad := range []string{"", "nonsense", "198.51.100.0/16", "198.51.100.0/25"} {
			if _, err := th.ClearNetwork(ctx, bad); !errors.Is(err, ErrNetwork) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if list, err := th.List(ctx); len(list) != 0 || err != nil {
			t.Errorf("left: %+v, %v", list, err)
		}
		mustPass(t, "the owner", attempt(t, th, "alice", "198.51.100.1", Failed))
		if _, known, err := th.ListUser(ctx, "alice"); len(known) != 1 || err != nil {
			t.Errorf("known: %+v, %v", known, err)
		}
		cleared("with the networks", 2)(th.ClearUser(ctx, "alice", true))
		if _, known, err := th.ListUser(ctx, "alice"); len(known) != 0 || err != nil {
			t.Errorf("known: %+v, %v", known, err)
		}
	})
}
