package storage_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func keysOf(t *testing.T, rdb redis.UniversalClient, secrets ...string) *storage.Keys {
	t.Helper()
	options := storage.Options{}
	for i, s := range secrets {
		if i == 0 {
			options.Secret = []byte(s)
		} else {
			options.OtherSecrets = append(options.OtherSecrets, []byte(s))
		}
	}
	store, err := storage.New(rdb, options)
	if err != nil {
		t.Fatal(err)
	}
	return store.Keys
}

// What a store reads, by its secrets and by those of the store that wrote last.
func TestSealedMeansSealed(t *testing.T) {
	const one, two, three = "the first long secret", "the second long secret", "the third long secret"
	for name, row := range map[string]struct {
		wrote, reads []string
		want         error
	}{
		"no secret":                       {nil, nil, nil},
		"the same secret":                 {[]string{one}, []string{one}, nil},
		"another secret":                  {[]string{one}, []string{two}, storage.ErrSealed},
		"no secret, sealed":               {[]string{one}, nil, storage.ErrSealed},
		"a secret, not sealed":            {nil, []string{one}, storage.ErrUnsealed},
		"secrets, not sealed":             {nil, []string{one, two}, storage.ErrUnsealed},
		"sealed with one of the others":   {[]string{three}, []string{one, two, three}, nil},
		"only the first seals":            {[]string{two, one}, []string{one}, storage.ErrSealed},
		"the first of the others' secret": {[]string{two, one}, []string{two}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb := storagetest.StartMiniredis(t).Client(t)
			if err := keysOf(t, rdb, row.wrote...).SaveKeys(t.Context(), []byte("document"), ""); err != nil {
				t.Fatal(err)
			}
			document, _, err := keysOf(t, rdb, row.reads...).LoadKeys(t.Context())
			if !errors.Is(err, row.want) || (row.want == nil) != (string(document) == "document") {
				t.Errorf("%q, %v, want %v", document, err, row.want)
			}
		})
	}
	if _, err := storage.New(storagetest.StartMiniredis(t).Client(t), storage.Options{OtherSecrets: [][]byte{[]byte(one)}}); err == nil {
		t.Error("other secrets without a secret are accepted")
	}
}

func TestReseal(t *testing.T) {
	const one, two = "the first long secret", "the second long secret"
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		t.Parallel()
		rdb := r.Client(t)
		reseal := func(what string, accept, changes bool, want error, secrets ...string) {
			t.Helper()
			if changed, err := keysOf(t, rdb, secrets...).Reseal(t.Context(), accept); changed != changes || !errors.Is(err, want) {
				t.Errorf("%s: %v, %v, want %v, %v", what, changed, err, changes, want)
			}
		}
		reads := func(secrets ...string) {
			t.Helper()
			if document, _, err := keysOf(t, rdb, secrets...).LoadKeys(t.Context()); err != nil || string(document) != "document" {
				t.Errorf("%q, %v", document, err)
			}
		}
		reseal("no secret", true, false, storage.ErrNoSecret)
		reseal("no keys", true, false, fosite.ErrNotFound, one)
		if err := keysOf(t, rdb).SaveKeys(t.Context(), []byte("document"), ""); err != nil {
			t.Fatal(err)
		}
		reseal("not sealed, not accepted", false, false, storage.ErrUnsealed, one)
		reads()
		reseal("not sealed", true, true, nil, one)
		reads(one)
		reseal("again", true, false, nil, one)
		reseal("another secret", true, false, storage.ErrSealed, two)
		reseal("a new secret", false, true, nil, two, one)
		reads(two)
		if raw := rdb.Get(t.Context(), "opgrant:keys").Val(); strings.Contains(raw, "ZG9jdW1lbnQ") || !strings.Contains(raw, `"sealed":true`) {
			t.Error(raw)
		}
	})
}

// A change that comes between is kept: resealing replaces the document that it has read, or reads again.
func TestResealRacesWithChanges(t *testing.T) {
	const one, two = "the first long secret", "the second long secret"
	rdb := storagetest.StartMiniredis(t).Client(t)
	writer := keysOf(t, rdb, one, two)
	if err := writer.SaveKeys(t.Context(), []byte("0"), ""); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for range 50 {
			_, _ = keysOf(t, rdb, two, one).Reseal(t.Context(), false)
			_, _ = keysOf(t, rdb, one, two).Reseal(t.Context(), false)
		}
	})
	saved := 0
	for range 50 {
		document, revision, err := writer.LoadKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(document) != saved+1 {
			t.Fatalf("a change is lost: %d, want %d", len(document), saved+1)
		}
		switch err := writer.SaveKeys(context.Background(), append(document, '0'), revision); {
		case err == nil:
			saved++
		case !errors.Is(err, fosite.ErrSerializationFailure):
			t.Fatal(err)
		}
	}
	all.Wait()
	if document, _, err := writer.LoadKeys(t.Context()); err != nil || len(document) != saved+1 {
		t.Errorf("%d of %d changes, %v", len(document)-1, saved, err)
	}
}
