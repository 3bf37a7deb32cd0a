package faults_test

import (
	"fmt"
	"slices"

	"github.com/anishathalye/porcupine"
)

// The model of one session for the linearizability checker. A token is a number that is unique in its session. An operation
// whose outcome is unknown may take effect at any time after its call, or never: it is open to the end of the history.

type opKind int

const (
	opLogin  opKind = iota // creates next and access
	opRotate               // token → next, access
	opStatic               // token stays, access
	opReadRefresh
	opReadAccess
	opRevoke
)

type outcome int

const (
	unknown  outcome = iota // the store was unavailable
	accepted                // done, or the token is valid
	replayed                // the result of an earlier refresh: result.next
	inactive                // ErrInactiveToken
	notFound                // ErrNotFound
	raceLost                // ErrSerializationFailure
)

type call struct {
	kind         opKind
	token        int
	next, access int
	strict       bool // no grace; otherwise a grace longer than the history
	stock        bool // the session is rotated by fosite's three calls, where fosite's handler reacts to reuse
	listed       bool // its access tokens are not self-contained
}

type result struct {
	outcome outcome
	next    int
}

type turn struct{ token, next int }

type state struct {
	born, dead bool
	live       int
	turns      []turn // every rotation that happened
	access     []int
}

func (s state) successor(token int) (int, bool) {
	for _, r := range s.turns {
		if r.token == token {
			return r.next, true
		}
	}
	return 0, false
}

func (s state) ended() state { return state{born: true, dead: true} }

func (s state) with(access int) state {
	s.access = append(slices.Clip(s.access), access)
	slices.Sort(s.access)
	return s
}

func (s state) rotated(c call) state {
	s.turns = append(slices.Clip(s.turns), turn{c.token, c.next})
	s.live = c.next
	if c.stock && c.listed {
		s.access = nil // fosite's RotateRefreshToken ends them
	}
	return s
}

var sessionModel = porcupine.Model{
	Init: func() any { return state{} },
	Step: func(st, in, out any) (bool, any) {
		return step(st.(state), in.(call), out.(result))
	},
	Equal: func(a, b any) bool {
		x, y := a.(state), b.(state)
		return x.born == y.born && x.dead == y.dead && x.live == y.live &&
			slices.Equal(x.turns, y.turns) && slices.Equal(x.access, y.access)
	},
	DescribeOperation: func(in, out any) string { return describe(in.(call), out.(result)) },
	DescribeState:     func(st any) string { return fmt.Sprintf("%+v", st.(state)) },
}

// step returns whether the outcome is legal in the state, and the state after it.
func step(s state, c call, r result) (bool, state) {
	alive := s.born && !s.dead
	switch c.kind {
	case opLogin:
		if !s.born && (r.outcome == accepted || r.outcome == unknown) {
			return true, state{born: true, live: c.next, access: []int{c.access}}
		}
		// Sent again: it has no second effect, and a revoked session stays revoked.
		return r.outcome == accepted && alive || r.outcome == unknown, s
	case opRevoke:
		if !s.born {
			return r.outcome == accepted || r.outcome == unknown, s
		}
		return r.outcome == accepted || r.outcome == unknown, s.ended()
	case opReadAccess:
		good := alive && slices.Contains(s.access, c.access)
		return r.outcome == accepted && good || r.outcome == notFound && !good, s
	case opReadRefresh:
		return readRefresh(s, c, r, alive), s
	}
	return refresh(s, c, r, alive)
}

func readRefresh(s state, c call, r result, alive bool) bool {
	_, wasUsed := s.successor(c.token)
	switch {
	case !alive || s.live != c.token && !wasUsed:
		return r.outcome == notFound
	case s.live == c.token || !c.strict:
		return r.outcome == accepted
	}
	return r.outcome == inactive || r.outcome == accepted && !c.stock // the rotation is in doubt
}

func refresh(s state, c call, r result, alive bool) (bool, state) {
	successor, wasUsed := s.successor(c.token)
	switch {
	case !alive || s.live != c.token && !wasUsed:
		return r.outcome == notFound || r.outcome == unknown, s
	case s.live == c.token && c.kind == opStatic:
		return r.outcome == accepted || r.outcome == unknown, s.with(c.access)
	case s.live == c.token:
		// The caller's own tokens as those of an earlier refresh: its first attempt was executed and its reply lost.
		own := r == result{replayed, c.next}
		return r.outcome == accepted || r.outcome == unknown || own, s.rotated(c).with(c.access)
	case successor == c.next && s.live == c.next && c.kind == opRotate:
		// The same step, sent again because its reply was lost.
		return r.outcome == accepted || r.outcome == unknown, s
	case !c.strict && c.stock:
		return r.outcome == unknown || r.outcome == raceLost, s // no tokens were kept that could be returned again
	case !c.strict:
		return r.outcome == unknown || r == result{replayed, successor}, s
	case !c.stock && r == result{replayed, successor}:
		return true, s // the rotation is in doubt: its reply was lost, or the one of its confirmation
	case c.stock && c.kind == opRotate:
		return r.outcome == inactive || r.outcome == unknown, s
	}
	return r.outcome == inactive || r.outcome == unknown, s.ended()
}

func describe(c call, r result) string {
	kind := [...]string{"login", "rotate", "static", "read refresh", "read access", "revoke"}[c.kind]
	end := [...]string{"?", "ok", "earlier answer", "used", "not found", "race lost"}[r.outcome]
	return fmt.Sprintf("%s token=%d next=%d access=%d → %s %d", kind, c.token, c.next, c.access, end, r.next)
}
