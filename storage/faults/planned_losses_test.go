package faults_test

import (
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// losses are what planned failovers cost.
type losses struct {
	failovers, acknowledged, unavailable int
	revocations, rotations, logins       int             // that were acknowledged and lost
	stale                                int             // sessions of which a server read old data during the failover
	stretches                            []time.Duration // :: failover → the longest in which a store answered no write but by unavailable
}

func (l *losses) lost() int { return l.revocations + l.rotations + l.logins }

// add counts what one run of the load shows. The times are those of the subjects that the failover concerns.
func (l *losses) add(t *testing.T, e *engine, injected time.Duration, concerned func(subject string) bool) {
	t.Helper()
	l.failovers++
	for _, f := range e.sessions {
		for _, op := range f.history {
			if kind := op.Input.(call).kind; !kind.reads() && op.Output.(result).outcome == accepted {
				l.acknowledged++
			}
		}
		l.judge(t, f, injected, e.writes[len(e.writes)-1].returned)
	}
	for _, o := range e.odd {
		t.Errorf("an unexpected error: %s", o)
	}
	longest := time.Duration(0)
	for i := range e.stores {
		last, failed := injected, 0 // the last answer
		for _, w := range e.writes {
			switch {
			case w.store != i || w.returned < injected || !concerned(w.subject):
			case !w.answered:
				failed++
			default:
				if failed > 0 {
					longest = max(longest, w.returned-last)
				}
				l.unavailable += failed
				last, failed = w.returned, 0
			}
		}
	}
	l.stretches = append(l.stretches, longest)
	t.Logf("failover %d: unavailable for up to %v; so far %d lost, %d stale", l.failovers, longest.Round(time.Millisecond), l.lost(), l.stale)
}

// judge counts a session whose history, with what was read after the failover, is illegal. A server that has not heard of the new
// primary yet reads from the old one: look-ups between from and until may show what was, or what was written and not acknowledged.
func (l *losses) judge(t *testing.T, f *session, from, until time.Duration) {
	t.Helper()
	if legal(t, f) {
		return
	}
	f.history = slices.DeleteFunc(f.history, func(op porcupine.Operation) bool {
		return op.Input.(call).kind.reads() && time.Duration(op.Return) > from && time.Duration(op.Call) < until
	})
	if legal(t, f) {
		l.stale++
		return
	}
	revoked, good := false, false
	for i, op := range f.history {
		c, r := op.Input.(call), op.Output.(result)
		revoked = revoked || c.kind == opRevoke && r.outcome == accepted
		good = good || i >= len(f.history)-settleReads && r.outcome == accepted
	}
	switch {
	case revoked && good:
		l.revocations++
	case !good:
		l.logins++
	default:
		l.rotations++
	}
}

func legal(t *testing.T, f *session) bool {
	t.Helper()
	result := porcupine.CheckOperationsTimeout(sessionModel, f.history, time.Minute)
	if result == porcupine.Unknown {
		t.Errorf("the history of session %s was not checked in time", f.id)
	}
	return result != porcupine.Illegal
}

func (l *losses) print(t *testing.T) {
	t.Helper()
	slices.Sort(l.stretches)
	t.Logf("%s: %d failovers, %d acknowledged writes, %d answers unavailable; lost: %d revocations, %d rotations, %d logins; "+
		"old data was read of %d sessions; "+
		"unavailable for: median %v, longest %v", t.Name(), l.failovers, l.acknowledged, l.unavailable,
		l.revocations, l.rotations, l.logins, l.stale, l.stretches[len(l.stretches)/2].Round(time.Millisecond),
		l.stretches[len(l.stretches)-1].Round(time.Millisecond))
}
