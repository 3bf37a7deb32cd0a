package server

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestTimePassesInTheEmbeddedRedis(t *testing.T) {
	address, stop, err := embeddedRedis()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	rdb := redis.NewClient(&redis.Options{Addr: address})
	defer rdb.Close()
	if err := rdb.Set(t.Context(), "k", "v", time.Second).Err(); err != nil {
		t.Fatal(err)
	}
	if n := rdb.Exists(t.Context(), "k").Val(); n != 1 {
		t.Fatal("the key is missing")
	}
	for deadline := time.Now().Add(30 * time.Second); rdb.Exists(t.Context(), "k").Val() == 1; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the key never expires")
		}
	}
}
