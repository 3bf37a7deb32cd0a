package storage_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/ory/fosite"
)

// family is one login with all that follows, and what its callers were told.
type family struct {
	id    string
	req   *fosite.Request
	stock bool // rotated as fosite's own handler does it

	mu       sync.Mutex
	tokens   []int // refresh tokens that a caller was told
	access   []int
	number   int
	unknowns int
	history  []porcupine.Operation
}

func (f *family) fresh() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.number++
	return f.number
}

func (f *family) learn(token, access int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if token > 0 {
		f.tokens = append(f.tokens, token)
	}
	if access > 0 {
		f.access = append(f.access, access)
	}
}

func (f *family) pick() (newest, old, access int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.tokens)
	return f.tokens[n-1], f.tokens[max(0, n-2-rand.IntN(min(n, 4)))], f.access[rand.IntN(len(f.access))]
}

func (f *family) record(op porcupine.Operation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if op.Return == math.MaxInt64 {
		f.unknowns++
	}
	f.history = append(f.history, op)
}

func (f *family) doubts() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.unknowns
}

// settle reads every session once more when all is well again: what was answered must still be true.
func (e *engine) settle(t *testing.T) {
	t.Helper()
	work := make(chan *family)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for f := range work {
				if len(f.tokens) == 0 {
					continue
				}
				newest, old, access := f.pick()
				for _, c := range []call{
					{kind: opReadAccess, access: access},
					{kind: opReadAccess, access: f.access[len(f.access)-1]},
					{kind: opReadRefresh, token: old},
					{kind: opReadRefresh, token: newest},
				} {
					for end := time.Now().Add(10 * time.Second); e.do(f, c).outcome == unknown; {
						if time.Now().After(end) {
							t.Errorf("still no answer 10s after all faults have ended")
							return
						}
					}
				}
			}
		})
	}
	for _, f := range e.families {
		work <- f
	}
	close(work)
	all.Wait()
}
