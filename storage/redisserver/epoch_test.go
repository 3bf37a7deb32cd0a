package redisserver_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// On Redis Cluster the epoch may be on another node than what a script changes. A process that knows another epoch gets no
// answer from any script, and so issues nothing.
func TestClusterIssuesNothingUnderAnotherEpoch(t *testing.T) {
	if os.Getenv("OPGRANT_TEST_FAULTS") == "" {
		t.Skip("set OPGRANT_TEST_FAULTS=short or full")
	}
	t.Parallel()
	ctx, client := t.Context(), connect(t, storagetest.StartCluster(t, storagetest.Options{}).Addrs()...)
	s := newStore(t, client)
	c := &storage.Client{ID: "web", Public: true, Grants: []string{"password", "refresh_token"}}
	put(t, s, c)
	if err := client.Set(ctx, "opgrant:epoch:2", "another", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for i := range 20 { // on every node
		subject := fmt.Sprint("user", i)
		id := storage.NewSessionID(subject)
		err := login(ctx, s, storage.Signature(id, "a"), storage.Signature(id, "r"), request(id, subject, c))
		if !errors.Is(err, storage.ErrLost) || !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("a login: %v", err)
		}
	}
	if err := s.PutClient(ctx, c); !errors.Is(err, storage.ErrLost) {
		t.Errorf("PutClient: %v", err)
	}
	if err := s.RevokeSession(ctx, storage.NewSessionID("alice")); !errors.Is(err, storage.ErrLost) {
		t.Errorf("RevokeSession: %v", err)
	}
}
