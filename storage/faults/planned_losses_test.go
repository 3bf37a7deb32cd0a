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
	stretches                            []time.Duration // :: failover → the longest in which a store answered no write but by unavailable
}

func (l *losses) lost() int { return l.revocations + l.rotations + l.logins }

// add counts what one run of the load shows. The times are those of the subjects that the failover concerns.
func (l *losses) add(t *testing.T, e *engine, injected time.Duration, concerned func(subject string) bool) {
	t.Helper()
	l.failovers++
	for _, f := range e.sessions {
		for _, op := range f.history {
			if kind := op.Input.(call).kind; kind != opReadAccess && kind != opReadRefresh && op.Output.(result).outcome == accepted {
				l.acknowledged++
			}
		}
		l.judge(t, f)
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
	t.Logf("failover %d: unavailable for up to %v; so far %d lost", l.failovers, longest.Round(time.Millisecond), l.lost())
}

// judge counts a session whose history, with what was read after the failover, is illegal.
func (l *losses) judge(t *testing.T, f *session) {
	t.Helper()
	switch porcupine.CheckOperationsTimeout(sessionModel, f.history, time.Minute) {
	case porcupine.Ok:
		return
	case porcupine.Unknown:
		t.Errorf("the history of session %s was not checked in time", f.id)
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

func (l *losses) print(t *testing.T) {
	t.Helper()
	slices.Sort(l.stretches)
	t.Logf("%s: %d failovers, %d acknowledged writes, %d answers unavailable; lost: %d revocations, %d rotations, %d logins; "+
		"unavailable for: median %v, longest %v", t.Name(), l.failovers, l.acknowledged, l.unavailable,
		l.revocations, l.rotations, l.logins, l.stretches[len(l.stretches)/2].Round(time.Millisecond),
		l.stretches[len(l.stretches)-1].Round(time.Millisecond))
}
