package luacover

import "time"

// Script is one script with its table.
type Script struct {
	// Name is that of the variable that holds the script.
	Name string
	// Source is what Redis runs.
	Source string
	// Parts are the files of the package that make up the source, one behind the other. None: it stands in a Go file. A file that
	// is part of several scripts is covered by all their cases together.
	Parts []string
	// Completes says that the script completes what a run has left that ended at any of its commands: a second run leaves the state
	// that one whole run does. Redis does not roll a script back.
	Completes bool
	// Decode has the keys whose strings are compared as what it makes of them: binary records, in a form that can be read. It may be
	// nil.
	Decode map[string]func(value string) any
	Cases  []Case
}

// Case is one run of a script on an empty Redis.
type Case struct {
	Name   string
	Before [][]any // commands that make the state before
	Keys   []string
	Args   []any
	// Reply is the reply: an int, a string, nil or []any of these.
	Reply any
	// Error is how the error begins that the script ends with.
	Error string
	// After is the state after the run, of all keys. Nil: as it was before.
	After State
	// TTL has the keys that have a TTL after the run, unless After is nil, to within five minutes.
	TTL map[string]time.Duration
	// Again is the reply of a second run, which leaves the state that the first did. Nil: the same as that of the first.
	Again any
	// Once says why a second run leaves another state. Then there is none.
	Once string
}
