package authserver_test

import (
	"context"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/storage"
)

// What takes long to compute is computed once and shared by the tests: the first signing keys, and the hashes of client secrets.

// firstKeys returns the key document of a new server.
var firstKeys = sync.OnceValues(func() ([]byte, error) {
	redisServer, err := miniredis.Run()
	if err != nil {
		return nil, err
	}
	defer redisServer.Close()
	rdb := redis.NewClient(&redis.Options{Addr: redisServer.Addr()})
	defer rdb.Close()
	store, err := storage.New(rdb, storage.Options{Timeout: hang})
	if err != nil {
		return nil, err
	}
	set, err := keys.New(keys.Config{Store: store.Keys})
	if err != nil {
		return nil, err
	}
	if err := set.Open(context.Background()); err != nil {
		return nil, err
	}
	document, _, err := store.Keys.LoadKeys(context.Background())
	return document, err
})

// saveKeys gives a store without keys the first ones.
func saveKeys(t *testing.T, store keys.Store) {
	t.Helper()
	present, revision, err := store.LoadKeys(t.Context())
	check(t, err)
	if present != nil {
		return
	}
	document, err := firstKeys()
	check(t, err)
	check(t, store.SaveKeys(t.Context(), document, revision))
}

var secretHashes sync.Map // :: secret → its hash

func secretHash(t *testing.T, secret string) string {
	t.Helper()
	if hash, ok := secretHashes.Load(secret); ok {
		return hash.(string)
	}
	hash, err := authserver.Secrets{}.Hash(context.Background(), []byte(secret))
	check(t, err)
	secretHashes.Store(secret, string(hash))
	return string(hash)
}
