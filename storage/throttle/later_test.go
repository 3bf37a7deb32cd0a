package throttle

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// What may not have reached Redis is sent again, so that an outage does not count as failures.
func TestResultsAreSentAgain(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		rdb, hook := r.Client(t), &deaf{}
		rdb.AddHook(hook)
		th := throttleOn(t, rdb, Limits{PerUserNetwork: 2, PerUser: -1, PerNetwork: -1, Window: time.Hour})
		mustPass(t, "before the outage", attempt(t, th, "alice", "192.0.2.1", Failed))
		a, _ := reserve(t, th, "alice", "192.0.2.1")
		hook.set(true)
		if err := th.Settle(t.Context(), a, Cancelled); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("result in the outage: %v", err)
		}
		if _, err := th.Reserve(t.Context(), "bob", "192.0.2.1", nil); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("attempt in the outage: %v", err)
		}
		hook.set(false)
		for entries := []Entry{{}}; len(entries) != 1 || entries[0].Failures != 1 || entries[0].InFlight != 0; {
			if t.Context().Err() != nil {
				t.Fatalf("still counted: %+v", entries)
			}
			var err error
			if entries, err = th.List(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}

// A panic while results are sent again ends nothing, and the next result is sent all the same.
func TestAPanicWhileSendingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l later
		sent := 0
		l.send = func(context.Context, []redisdb.Call) error {
			if sent++; sent == 1 {
				panic("hook")
			}
			return nil
		}
		for range 2 {
			l.add(redisdb.Call{})
			time.Sleep(2 * time.Second)
			synctest.Wait()
		}
		if sent != 2 || l.runs || len(l.list) != 0 {
			t.Errorf("sent %d times, runs %v, %d left", sent, l.runs, len(l.list))
		}
	})
}

// deaf is a go-redis hook that lets commands through and loses their replies.
type deaf struct {
	mutex sync.Mutex
	on    bool
}

func (d *deaf) set(on bool) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.on = on
}

func (d *deaf) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (d *deaf) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (d *deaf) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		d.mutex.Lock()
		defer d.mutex.Unlock()
		if !d.on {
			return err
		}
		for _, c := range cmds {
			c.SetErr(errors.New("the reply was lost"))
		}
		return errors.New("the reply was lost")
	}
}

// A reply that no script gives counts for nothing: it is unavailable at once.
func TestUnexpectedRepliesAreUnavailable(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	rdb := r.Client(t)
	th := throttleOn(t, rdb, Limits{})
	a, _ := reserve(t, th, "alice", "192.0.2.1")
	rdb.AddHook(null{})
	if _, err := th.Reserve(t.Context(), "alice", "192.0.2.1", nil); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		t.Errorf("attempt: %v", err)
	}
	if err := th.Settle(t.Context(), a, Failed); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		t.Errorf("result: %v", err)
	}
	if err := th.WrongSecret(t.Context(), "web", "wrong", "192.0.2.1"); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		t.Errorf("secret: %v", err)
	}
	if n := th.Stats().Waited; n != 0 {
		t.Errorf("%d have waited", n)
	}
}

// null is a go-redis hook under which every reply is the null of Redis.
type null struct{}

func (null) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (null) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (null) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(_ context.Context, cmds []redis.Cmder) error {
		for _, c := range cmds {
			c.SetErr(redis.Nil)
		}
		return redis.Nil
	}
}
