package resource

import "fmt"

// guarded runs f in a goroutine of its own, where a panic, of a Transport for example, would end the process: no HTTP server
// recovers it there.
func guarded[T any](f func() (T, error)) (result T, err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("resource: panic: %v", broken)
		}
	}()
	return f()
}
