package storage_test

import (
	"fmt"
	"slices"

	"github.com/anishathalye/porcupine"
)

// The model of one session for the linearizability checker. A token is a number that is unique in its session. An
// operation whose outcome the caller was not told may take effect at any time after its call, or never: it stays open to
// the end of the history.

type opKind int

const (
	opLogin  opKind = iota // brings next and access
	opRotate               // token → next, access
	opStatic               // token stays, access
	opReadRefresh
	opReadAccess
	opRevoke
)

type outcome int

const (
	unknown  outcome = iota // a don't-know
	accepted                // done, or the token is good
	replayed                // the answer of an earlier refresh: result.next
	used                    // ErrInactiveToken
	refused                 // ErrNotFound
	racing                  // ErrSerializationFailure
)

type call struct {
	kind         opKind
	token        int
	next, access int
	strict       bool // no grace; otherwise a grace longer than the history
	stock        bool // the session is rotated by fosite's three calls, which leave the answer to reuse to fosite's handler
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

// step says whether the outcome is legal in the state, and what the state is then.
func step(s state, c call, r result) (bool, state) {
	alive := s.born && !s.dead
	switch c.kind {
	case opLogin:
		if !s.born && (r.outcome == accepted || r.outcome == unknown) {
			return true, state{born: true, live: c.next, access: []int{c.access}}
		}
		// Sent again: no second effect, and no resurrection.
		return r.outcome == accepted && alive || r.outcome == unknown, s
	case opRevoke:
		if !s.born {
			return r.outcome == accepted || r.outcome == unknown, s
		}
		return r.outcome == accepted || r.outcome == unknown, s.ended()
	case opReadAccess:
		good := alive && slices.Contains(s.access, c.access)
		return r.outcome == accepted && good || r.outcome == refused && !good, s
	case opReadRefresh:
		return readRefresh(s, c, r, alive), s
	}
	return refresh(s, c, r, alive)
}

func readRefresh(s state, c call, r result, alive bool) bool {
	_, wasUsed := s.successor(c.token)
	switch {
	case !alive || s.live != c.token && !wasUsed:
		return r.outcome == refused
	case s.live == c.token || !c.strict:
		return r.outcome == accepted
	}
	return r.outcome == used
}

func refresh(s state, c call, r result, alive bool) (bool, state) {
	successor, wasUsed := s.successor(c.token)
	switch {
	case !alive || s.live != c.token && !wasUsed:
		return r.outcome == refused || r.outcome == unknown, s
	case s.live == c.token && c.kind == opStatic:
		return r.outcome == accepted || r.outcome == unknown, s.with(c.access)
	case s.live == c.token:
		// The caller's own answer as an earlier one: its first attempt was done, its reply lost, and others have gone on.
		own := !c.strict && r == result{replayed, c.next}
		return r.outcome == accepted || r.outcome == unknown || own, s.rotated(c).with(c.access)
	case successor == c.next && s.live == c.next && c.kind == opRotate:
		// The very same step, sent again because its reply was lost.
		return r.outcome == accepted || r.outcome == unknown, s
	case !c.strict && c.stock:
		return r.outcome == unknown || r.outcome == racing, s // no answer was kept that could be given again
	case !c.strict:
		return r.outcome == unknown || r == result{replayed, successor}, s
	case c.stock && c.kind == opRotate:
		return r.outcome == used || r.outcome == unknown, s
	}
	return r.outcome == used || r.outcome == unknown, s.ended()
}

func describe(c call, r result) string {
	kind := [...]string{"login", "rotate", "static", "read refresh", "read access", "revoke"}[c.kind]
	end := [...]string{"?", "ok", "earlier answer", "used", "not found", "race lost"}[r.outcome]
	return fmt.Sprintf("%s token=%d next=%d access=%d → %s %d", kind, c.token, c.next, c.access, end, r.next)
}
