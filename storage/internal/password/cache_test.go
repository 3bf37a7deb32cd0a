package password

import (
	"fmt"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/internal/fingerprint"
)

func TestCacheIsBounded(t *testing.T) {
	c := NewCache(time.Minute)
	for i := range 3 * fingerprint.MaxMemory {
		c.Add("hash", fmt.Sprint(i), "password")
		if !c.Has("hash", fmt.Sprint(i), "password") {
			t.Fatalf("entry %d is not there", i)
		}
	}
	if n := len(c.entries); n > fingerprint.MaxMemory {
		t.Errorf("%d entries", n)
	}
	if c.Has("has", "h0", "password") || c.Has("hash", "0password", "") {
		t.Error("parts run into each other")
	}
	if other := NewCache(time.Minute); other.key.Of("x") == c.key.Of("x") {
		t.Error("two caches have one key")
	}
}
