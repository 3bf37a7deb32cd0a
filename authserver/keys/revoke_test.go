package keys_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
)

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// stages returns the stage of each key, by ID.
func stages(t *testing.T, set *keys.Set) map[string]string {
	t.Helper()
	list, err := set.List(t.Context())
	check(t, err)
	found := map[string]string{}
	for _, k := range list {
		found[k.ID] = k.Stage
	}
	return found
}

func signer(t *testing.T, set *keys.Set) *keys.Key {
	t.Helper()
	k, err := set.Signer(policy.ES256)
	check(t, err)
	return k
}

// wantRevoked fails the test unless the set neither signs nor verifies with the key, nor publishes it.
func wantRevoked(t *testing.T, when string, set *keys.Set, id string) {
	t.Helper()
	check(t, set.Load(t.Context()))
	body, _, err := set.Document()
	check(t, err)
	if len(set.Verifiers(id)) > 0 || strings.Contains(string(body), id) || signer(t, set).ID == id {
		t.Errorf("%s: the revoked key is used", when)
	}
	if stages(t, set)[id] != "revoked" {
		t.Errorf("%s: %v", when, stages(t, set))
	}
}

func TestTheSuccessorOfARevokedKeySignsAtOnce(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	store := &memory{}
	set := open(t, keys.Config{Store: store, Now: func() time.Time { return now }})
	first := signer(t, set).ID
	staged, err := set.Rotate(t.Context(), policy.ES256, false)
	check(t, err)

	got, err := set.Revoke(t.Context(), first)
	if err != nil || got != staged || signer(t, set).ID != staged {
		t.Errorf("%v: %q signs, want the one that was waiting, %q", err, got, staged)
	}
	wantRevoked(t, "with a successor", set, first)

	now = now.Add(time.Hour)
	fresh, err := set.Revoke(t.Context(), staged)
	if err != nil || fresh == "" || fresh == staged || fresh == first || signer(t, set).ID != fresh {
		t.Errorf("%v: %q signs, want a new key", err, fresh)
	}
	wantRevoked(t, "without a successor", set, staged)

	again, err := set.Revoke(t.Context(), staged)
	if err != nil || again != fresh {
		t.Errorf("a second time: %q, %v", again, err)
	}
	if _, err := set.Revoke(t.Context(), "no such key"); !errors.Is(err, keys.ErrUnknownKey) {
		t.Errorf("unknown: %v", err)
	}
	// On a replica whose clock is a little behind the new key signs too, since there is no other.
	behind := open(t, keys.Config{Store: store, Now: func() time.Time { return now.Add(-time.Second) }})
	if signer(t, behind).ID != fresh {
		t.Error("a replica with a slow clock does not sign")
	}
}

func TestRevokingAKeyThatDoesNotSignLeavesTheSigner(t *testing.T) {
	set := open(t, keys.Config{Store: &memory{}})
	retired := signer(t, set).ID
	active, err := set.Rotate(t.Context(), policy.ES256, true)
	check(t, err)
	next, err := set.Rotate(t.Context(), policy.ES256, false)
	check(t, err)
	verifying, _, err := set.Import(t.Context(), newKey(t), nil, true, time.Time{})
	check(t, err)
	for _, id := range []string{retired, next, verifying} {
		if got, err := set.Revoke(t.Context(), id); err != nil || got != active || signer(t, set).ID != active {
			t.Errorf("%s: %q signs, %v", id, got, err)
		}
		wantRevoked(t, "one that does not sign", set, id)
	}
}

// Nothing brings a revoked key back: not its import, not a replica that has not heard of it and writes, and not a store that
// returns to an older document.
func TestARevokedKeyNeverComesBack(t *testing.T) {
	store := &memory{}
	set, replica := open(t, keys.Config{Store: store}), open(t, keys.Config{Store: store})
	private := newKey(t)
	imported, _, err := set.Import(t.Context(), private, nil, false, time.Time{})
	check(t, err)
	check(t, replica.Load(t.Context()))
	held := signer(t, replica)
	older := store.document
	_, err = set.Revoke(t.Context(), imported)
	check(t, err)

	for name, public := range map[string]struct {
		private crypto.Signer
		public  crypto.PublicKey
	}{"private": {private, nil}, "public": {nil, private.Public()}} {
		for _, s := range []*keys.Set{set, replica} {
			if _, _, err := s.Import(t.Context(), public.private, public.public, false, time.Time{}); !errors.Is(err, keys.ErrRevoked) {
				t.Errorf("import of the %s key: %v", name, err)
			}
		}
	}
	wantRevoked(t, "after an import", set, imported)

	replica, err = keys.New(keys.Config{Store: store})
	check(t, err)
	check(t, replica.Note(t.Context(), held, time.Now().Add(1000*24*time.Hour)))
	wantRevoked(t, "after a note", replica, imported)
	for _, immediately := range []bool{false, true} {
		_, err = replica.Rotate(t.Context(), policy.ES256, immediately)
		check(t, err)
	}
	wantRevoked(t, "after a rotation", set, imported)

	store.mutex.Lock()
	store.document, store.revision = older, store.revision+1
	store.mutex.Unlock()
	wantRevoked(t, "after a fail-over", set, imported)
	fresh := open(t, keys.Config{Store: store})
	if len(fresh.Verifiers(imported)) == 0 {
		t.Fatal("the older document is not the older one")
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { set.Run(ctx, slog.New(slog.DiscardHandler)) })
	for len(fresh.Verifiers(imported)) > 0 {
		time.Sleep(10 * time.Millisecond)
		check(t, fresh.Load(t.Context()))
	}
	stop()
	running.Wait()
	wantRevoked(t, "after a fail-over, on a server that did not know", fresh, imported)
}

// Replicas that rotate, import, note and revoke at the same time agree in the end, and no revoked key is left.
func TestRevocationsRaceWithEverything(t *testing.T) {
	store := &memory{}
	sets := make([]*keys.Set, 4)
	for i := range sets {
		sets[i] = open(t, keys.Config{Store: store})
	}
	private := newKey(t)
	id, err := keys.IDOf(private.Public())
	check(t, err)
	victims := []string{signer(t, sets[0]).ID, id}
	_, _, err = sets[0].Import(t.Context(), private, nil, false, time.Time{})
	check(t, err)
	var all sync.WaitGroup
	for _, set := range sets {
		check(t, set.Load(t.Context()))
		for _, do := range []func(){
			func() { _, _ = set.Rotate(t.Context(), policy.ES256, true) },
			func() { _, _ = set.Rotate(t.Context(), policy.ES256, false) },
			func() { _ = set.Note(t.Context(), signer(t, set), time.Now().Add(1000*24*time.Hour)) },
			func() { _, _, _ = set.Import(t.Context(), private, nil, false, time.Time{}) },
			func() { _ = set.Open(t.Context()) },
			func() { // what requests do
				for _, kid := range append(victims, "", "unknown") {
					set.Verifiers(kid)
				}
				_ = set.Refresh(t.Context())
				set.AcceptsImported(signer(t, set))
				if _, _, err := set.Document(); err != nil {
					t.Error(err)
				}
			},
		} {
			all.Go(func() {
				for range 4 {
					do()
				}
			})
		}
		for _, victim := range victims {
			all.Go(func() {
				if _, err := set.Revoke(t.Context(), victim); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	for _, set := range sets {
		for _, victim := range victims {
			wantRevoked(t, "after the race", set, victim)
		}
	}
}

// firstBuildRecord is how servers of the first build read and write a key.
type firstBuildRecord struct {
	ID         string    `json:"kid"`
	Algorithm  string    `json:"alg"`
	Created    time.Time `json:"created"`
	Activates  time.Time `json:"activates"`
	LastExpiry time.Time `json:"last_expiry,omitzero"`
	Imported   bool      `json:"imported,omitempty"`
	VerifyOnly bool      `json:"verify_only,omitempty"`
	Private    []byte    `json:"private,omitempty"`
	Public     []byte    `json:"public,omitempty"`
}

// A server of the first build that reads the document finds no key that fits a token of the revoked key, and keeps the
// revocation when it writes.
func TestServersOfTheFirstBuildBearARevocation(t *testing.T) {
	store := &memory{}
	set := open(t, keys.Config{Store: store})
	old := signer(t, set)
	secret := old.Private
	_, err := set.Revoke(t.Context(), old.ID)
	check(t, err)

	var records []firstBuildRecord
	check(t, json.Unmarshal(store.document, &records))
	i := slices.IndexFunc(records, func(r firstBuildRecord) bool { return r.ID == old.ID })
	if i < 0 {
		t.Fatalf("no record of the revoked key in %s", store.document)
	}
	r := records[i]
	id, err := keys.IDOf(secret.Public())
	check(t, err)
	if slices.Contains(policy.Algorithms(), r.Algorithm) || !r.VerifyOnly || r.Imported || len(r.Private) > 0 || len(r.Public) == 0 ||
		r.LastExpiry.Before(time.Now().AddDate(1000, 0, 0)) || id != old.ID {
		t.Errorf("%+v", r)
	}
	written, err := json.Marshal(records)
	check(t, err)
	check(t, store.SaveKeys(t.Context(), written, mustRevision(t, store)))
	for _, s := range []*keys.Set{set, open(t, keys.Config{Store: store})} {
		wantRevoked(t, "after the first build has written", s, old.ID)
	}
}

func mustRevision(t *testing.T, store *memory) string {
	t.Helper()
	_, revision, err := store.LoadKeys(t.Context())
	check(t, err)
	return revision
}

// A replica that only follows refuses a revoked key within five seconds, also when one load fails and others are slow.
func TestReplicasFollowARevocationWithinFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, failing := range []bool{false, true} {
			store := &memory{}
			set := open(t, keys.Config{Store: store})
			slow := &slowStore{memory: store}
			replica := open(t, keys.Config{Store: slow})
			slow.delay = time.Second
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { replica.Run(ctx, slog.New(slog.DiscardHandler)) })
			time.Sleep(10*time.Second + 500*time.Millisecond) // in the middle of a load
			slow.hang(failing)
			id := signer(t, set).ID
			_, err := set.Revoke(t.Context(), id)
			check(t, err)
			time.Sleep(5 * time.Second)
			if len(replica.Verifiers(id)) > 0 || signer(t, replica).ID == id {
				t.Errorf("one load fails: %v: the key is used", failing)
			}
			stop()
			running.Wait()
		}
	})
}

// slowStore reads at once and answers late. One load can be made to hang for longer than Run waits.
type slowStore struct {
	*memory
	delay    time.Duration
	mutex    sync.Mutex
	hangOnce bool
}

func (s *slowStore) hang(once bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.hangOnce = once
}

func (s *slowStore) LoadKeys(ctx context.Context) ([]byte, string, error) {
	s.mutex.Lock()
	hangs := s.hangOnce
	s.hangOnce = false
	s.mutex.Unlock()
	document, revision, err := s.memory.LoadKeys(ctx)
	delay := s.delay
	if hangs {
		delay = time.Hour
	}
	select {
	case <-time.After(delay):
		return document, revision, err
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
}
