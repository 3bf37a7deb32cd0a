package faults_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/ory/fosite"
)

// session is one login with everything that follows, and what its callers know.
type session struct {
	id    string
	req   *fosite.Request
	stock bool // rotated with the calls of fosite's handler

	mu       sync.Mutex
	tokens   []int // refresh tokens that a caller has
	access   []int
	number   int
	unknowns int
	history  []porcupine.Operation
}

func (f *session) fresh() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.number++
	return f.number
}

func (f *session) learn(token, access int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if token > 0 {
		f.tokens = append(f.tokens, token)
	}
	if access > 0 {
		f.access = append(f.access, access)
	}
}

func (f *session) pick() (newest, old, access int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.tokens)
	return f.tokens[n-1], f.tokens[max(0, n-2-rand.IntN(min(n, 4)))], f.access[rand.IntN(len(f.access))]
}

func (f *session) record(op porcupine.Operation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if op.Return == math.MaxInt64 {
		f.unknowns++
	}
	f.history = append(f.history, op)
}

func (f *session) inDoubt() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.unknowns
}

// settleReads is how many reads settle adds to a history.
const settleReads = 4

// settle reads every session again after the recovery: acknowledged writes must be there.
func (e *engine) settle(t *testing.T) {
	t.Helper()
	work := make(chan *session)
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
					for end := time.Now().Add(30 * time.Second); e.do(f, c).outcome == unknown; {
						if time.Now().After(end) {
							t.Errorf("still unavailable 30s after the fault has ended")
							return
						}
					}
				}
			}
		})
	}
	for _, f := range e.sessions {
		work <- f
	}
	close(work)
	all.Wait()
}
