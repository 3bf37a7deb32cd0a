package redisserver_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// go-redis sends a command again when its reply was lost. A step that has then already been executed must not look like reuse
// of the token.
func TestLostRepliesAreNotReuse(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := storagetest.StartProxy(t, storagetest.StartInstance(t).Addr)
	s := newStore(t, connect(t, p.Addr))
	none := storage.Duration(0)
	c := &storage.Client{ID: "strict", Public: true, Grants: []string{"password"}, Grace: &none}
	put(t, s, c)
	id := storage.NewSessionID("alice")
	req := request(id, "alice", c)
	sig := func(kind string, n int) string { return storage.Signature(id, fmt.Sprint(kind, n)) }
	if err := login(ctx, s, sig("a", 0), sig("r", 0), req); err != nil {
		t.Fatal(err)
	}
	p.Set(storagetest.Faults{CutAfter: 0.3})
	for n := range 60 {
		answer, err := s.RefreshSession(ctx, sig("r", n), sig("a", n+1), sig("r", n+1), nil, req)
		for end := time.Now().Add(hang); errors.Is(err, fosite.ErrTemporarilyUnavailable) && time.Now().Before(end); {
			answer, err = s.RefreshSession(ctx, sig("r", n), sig("a", n+1), sig("r", n+1), nil, req)
		}
		if err != nil || answer != nil {
			t.Fatalf("refresh %d: answer %q, error %v; a lost reply was taken for reuse", n, answer, err)
		}
	}
	if _, after := p.Cuts(); after < 5 {
		t.Errorf("only %d replies were cut off: the test shows nothing", after)
	}
}
