package admission

import "time"

// Limits are the bounds of a Gate.
type Limits struct {
	// Running is how many pieces of work run at a time. Zero or less: any number, and nothing waits.
	Running int
	// Wait is how long work may have to wait. If it would be longer, by the mean time that work took lately, it is refused at
	// once; if the estimate was wrong, after a third more. Zero: nothing waits.
	Wait time.Duration
	// Queue is the largest number of waiting pieces of work, whatever the estimate says.
	Queue int
	// Expect is the time that a piece of work takes, before the first one has been measured.
	Expect time.Duration
	// Behind, if set, is a gate whose work of priority First goes before that of this one: while there is any, and for a tenth of
	// a second after, one fewer runs here, but at least one.
	Behind *Gate
}

// Priority says which work goes first.
type Priority int

const (
	// Later is for logins and other new sessions. One of five places is for them while others wait, so that they go on.
	Later Priority = iota
	// First is for what holders of tokens ask: refreshes, introspection, revocation.
	First
)

// urgentFor is how long after the last work of priority First other gates keep a place free for more.
const urgentFor = 100 * time.Millisecond

// laterShare: every so many places go to work of priority Later while both wait.
const laterShare = 5
