package storage_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// Who lets too few replicas confirm a write, or more than there are, hears of it.
func TestCheckServerComparesReplicas(t *testing.T) {
	primary := storagetest.StartRedis(t, storagetest.Options{Config: []string{"repl-diskless-sync-delay 0"}})
	_, port, err := net.SplitHostPort(primary.Addr)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		storagetest.StartRedis(t, storagetest.Options{Config: []string{"replicaof 127.0.0.1 " + port}})
	}
	admin := primary.Client(t)
	for range 100 {
		role, err := admin.Do(t.Context(), "ROLE").Slice()
		if err != nil {
			t.Fatal(err)
		}
		if len(role[2].([]any)) == 3 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	for need, want := range []string{"", "can lose confirmed writes", "", "", "are unavailable"} {
		s, err := storage.New(admin, storage.Options{Replicas: need})
		if err != nil {
			t.Fatal(err)
		}
		warnings, err := s.CheckServer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, w := range warnings {
			if strings.Contains(w, "replicas that must confirm") {
				found = append(found, w)
			}
		}
		if want == "" && len(found) == 0 || want != "" && len(found) == 1 && strings.Contains(found[0], want) {
			continue
		}
		t.Errorf("%d of three replicas: %q, want %q", need, found, want)
	}
}
