package storage

import (
	"fmt"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// guarded runs f in a goroutine of its own, where a panic, of a hook of the Redis client for example, would end the process: no
// HTTP server recovers it there.
func guarded(op string, f func() error) (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = unavailable.Error(op, fmt.Errorf("panic: %v", broken))
		}
	}()
	return f()
}
