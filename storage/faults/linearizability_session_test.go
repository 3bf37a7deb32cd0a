package faults_test

import (
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
)

// session is one login with everything that follows, and what its callers know.
type session struct {
	id    string
	req   *fosite.Request
	stock bool   // rotated with the calls of fosite's handler
	code  string // signature of the code that opens it; empty: a login does

	mu       sync.Mutex
	tokens   []int // refresh tokens that a caller has
	access   []int
	number   int
	unknowns int
	history  []porcupine.Operation
}

// signature is of a token, whose hash no other session has.
func (f *session) signature(token int) string {
	return storage.Signature(f.id, f.id+strconv.Itoa(token))
}

// refresh is the signature of a refresh token: a numbered one, as those of the authorization server, of which all used ones are
// known. A stock server has the others.
func (f *session) refresh(token int) string {
	if f.stock {
		return f.signature(token)
	}
	return storage.RefreshSignature(f.id, f.id+strconv.Itoa(token), uint32(token))
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

// opened reports whether a caller has tokens of the session.
func (f *session) opened() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.tokens) > 0 && len(f.access) > 0
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

// settleReads is how many reads settle adds to the history of a session that a login has opened.
const settleReads = 4

func (f *session) lastReads() []call {
	var reads []call
	if f.code != "" {
		reads = append(reads, call{kind: opReadCode})
	}
	if len(f.tokens) == 0 {
		return reads
	}
	newest, old, access := f.pick()
	return append(reads,
		call{kind: opReadAccess, access: access},
		call{kind: opReadAccess, access: f.access[len(f.access)-1]},
		call{kind: opReadRefresh, token: old},
		call{kind: opReadRefresh, token: newest},
	)
}

// settle reads every session again after the recovery: acknowledged writes must be there.
func (e *engine) settle(t *testing.T) {
	t.Helper()
	work := make(chan *session)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for f := range work {
				for _, c := range f.lastReads() {
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
