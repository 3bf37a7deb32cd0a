package storage

import (
	"errors"
	"testing"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// While Redis is away, every method is unavailable, and none says anything about anybody: not with an error of a refusal, and not
// without an error.
func TestEveryMethodIsUnavailableInAnOutage(t *testing.T) {
	test := func(t *testing.T, r *storagetest.Instance, stop func()) {
		w := newWriter(t, r.Client(t), Options{})
		w.fill(t)
		if err := w.store.CreatePKCERequestSession(t.Context(), w.signature("c"), w.login); err != nil {
			t.Fatal(err)
		}
		stop()
		for _, calls := range []map[string]func() error{w.writes(t.Context()), w.reads(t.Context())} {
			for name, call := range calls {
				err := call()
				if !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
					t.Errorf("%s: %v, want unavailable", name, err)
				}
				for _, refusal := range []error{
					fosite.ErrNotFound, fosite.ErrInactiveToken, fosite.ErrInvalidatedAuthorizeCode, fosite.ErrJTIKnown, fosite.ErrSerializationFailure,
				} {
					if errors.Is(err, refusal) {
						t.Errorf("%s: %v is a refusal", name, err)
					}
				}
			}
		}
	}
	t.Run("miniredis", func(t *testing.T) {
		r := storagetest.StartMiniredis(t)
		test(t, r, func() { r.Break(t) })
	})
	t.Run("redis-server", func(t *testing.T) {
		if testing.Short() {
			t.Skip("left out with -short")
		}
		server := storagetest.StartRedis(t, storagetest.Options{})
		test(t, &storagetest.Instance{Kind: "redis-server", Addr: server.Addr, Server: server}, server.Kill)
	})
}
