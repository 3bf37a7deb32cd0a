package authserver_test

import (
	"slices"
	"time"
)

// The model is the judge of TestRandomChainsNeverWiden. It knows nothing of how the server works: only what a token is made
// from, and which rights the users and clients have at the moment.

// modelUser is a user as the test has set it.
type modelUser struct {
	name   string
	super  bool
	active bool
}

// modelSession is one login, or what was made from a token of another one.
type modelSession struct {
	client  chainClient
	user    *modelUser
	madeOf  *modelToken // the subject token of an exchange
	ended   bool        // for good
	current *modelToken // its refresh token
}

// modelToken is a token that the server has issued.
type modelToken struct {
	raw      string
	session  *modelSession
	refresh  bool
	revoked  bool
	scopes   []string // what it may have at most; nil: no scope limits it
	audience []string // likewise
	targeted bool     // a request on the way to it named an audience, so that others may not be able to take it
	expires  time.Time
	login    int64 // auth_time at most
}

func (s *modelSession) live() bool {
	if s.ended || !s.user.active {
		return false
	}
	return s.madeOf == nil || s.madeOf.good()
}

// good tells whether rights may still follow from the token: it was not revoked, and for a refresh token its session still
// has one.
func (t *modelToken) good() bool {
	return t.session.live() && !t.revoked
}

// live tells whether the token itself is valid. Of a session that rotates, only the newest refresh token is.
func (t *modelToken) live() bool {
	return t.good() && (!t.refresh || t.session.current == t)
}

// within tells whether all of some rights are among those that were had. Nil means that nothing limits them.
func within(some, had []string) bool {
	if had == nil {
		return true
	}
	for _, s := range some {
		if !slices.Contains(had, s) {
			return false
		}
	}
	return true
}
