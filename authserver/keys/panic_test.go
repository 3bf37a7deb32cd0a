package keys_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/keys"
)

// breaking is a store that panics while it is told to.
type breaking struct {
	*memory
	broken atomic.Bool
}

func (b *breaking) LoadKeys(ctx context.Context) ([]byte, string, error) {
	if b.broken.Load() {
		panic("the store")
	}
	return b.memory.LoadKeys(ctx)
}

// A store that panics while keys are loaded for a request, in a goroutine of the set, does not end the process.
func TestAPanicOfTheStoreIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &breaking{memory: &memory{}}
		set := open(t, keys.Config{Store: store})
		store.broken.Store(true)
		if err := set.Refresh(t.Context()); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("got %v", err)
		}
		store.broken.Store(false)
		if err := set.Refresh(t.Context()); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// Run goes on after a panic of the store, in a goroutine that nothing else guards.
func TestAPanicOfTheStoreDoesNotEndRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &breaking{memory: &memory{}}
		set := open(t, keys.Config{Store: store, RotateEvery: time.Hour, Lead: time.Minute})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		store.broken.Store(true)
		go func() { defer close(ended); set.Run(ctx, slog.New(slog.DiscardHandler)) }()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		store.broken.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		list, err := set.List(t.Context())
		if err != nil || len(list) < 4 {
			t.Errorf("the rotation that was due did not follow: %d keys, %v", len(list), err)
		}
		stop()
		<-ended
	})
}
