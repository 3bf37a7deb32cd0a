package redisserver_test

import (
	"fmt"
	"time"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/throttle"
	"github.com/opgrant/opgrant/storage/usage"
)

// fail is a login that fails.
func (w *fixture) fail(address string) error {
	th := w.store.Users.Throttle()
	attempt, err := th.Reserve(w.ctx, "alice", address, nil)
	if err != nil {
		return err
	}
	return th.Settle(w.ctx, attempt, throttle.Failed)
}

var countOperations = []operation{
	{
		name: "login that fails",
		run:  func(w *fixture) error { return w.fail("192.0.2.1") },
	},
	{
		// How many of them are forgotten is not compared: a later one forgets the others.
		name: "login from one network too many", blind: []string{"members of f", `alice "10.0.`},
		setup: func(w *fixture) {
			key := keys.Failures(redisdb.SubjectTag("alice"))
			fields := []any{"name", "user:alice", "all", fmt.Sprint(time.Now().Add(time.Hour).UnixMilli())}
			for n := range 256 {
				fields = append(fields, fmt.Sprintf("n:10.0.%d.0/24", n), fmt.Sprint(time.Now().Add(time.Hour).UnixMilli()+int64(n)))
			}
			w.must(w.admin.HSet(w.ctx, key, fields...).Err())
			w.must(w.admin.PExpire(w.ctx, key, 2*time.Hour).Err())
		},
		run: func(w *fixture) error { return w.fail("192.0.2.1") },
	},
	{
		name: "result of a login", // in the time that is left of the shortest TTL
		setup: func(w *fixture) {
			var err error
			w.attempt, err = w.store.Users.Throttle().Reserve(w.ctx, "alice", "192.0.2.1", nil)
			w.must(err)
			w.must(w.admin.PExpire(w.ctx, keys.Failures(redisdb.SubjectTag("alice")), hang).Err())
		},
		run: func(w *fixture) error { return w.store.Users.Throttle().Settle(w.ctx, w.attempt, throttle.Failed) },
	},
	{
		name: "wrong client secret",
		run: func(w *fixture) error {
			return w.store.Users.Throttle().WrongSecret(w.ctx, "web", "wrong", "192.0.2.1")
		},
	},
	{
		name: "clear failures of a user",
		setup: func(w *fixture) {
			w.addUser("alice", "")
			w.must(verify("alice", "one")(w))
			w.must(w.fail("192.0.2.1"))
		},
		run: func(w *fixture) error {
			_, err := w.store.Users.Throttle().ClearUser(w.ctx, "alice", true)
			return err
		},
	},
	{
		name:  "usage",
		setup: func(w *fixture) { w.counter.CountsOperations(); w.count() },
		run:   func(w *fixture) error { return w.counter.Flush(w.ctx) },
	},
	{
		name: "usage of a caller who is counted already",
		setup: func(w *fixture) {
			w.counter.CountsOperations()
			w.count()
			w.must(w.counter.Flush(w.ctx))
			w.count()
		},
		run: func(w *fixture) error { return w.counter.Flush(w.ctx) },
	},
	{
		name: "report of usage",
		setup: func(w *fixture) {
			w.counter.CountsOperations()
			w.count()
			w.must(w.counter.Flush(w.ctx))
			w.must(w.admin.HSet(w.ctx, keys.Usage(), `["oauth","web","bob","",""]`, "1 1 1").Err())
		},
		run: func(w *fixture) error { _, err := w.counter.Report(w.ctx); return err },
	},
}

func (w *fixture) count() {
	w.counter.Count(usage.Caller{API: usage.APIOAuth, Client: "web", User: "alice"})
}
