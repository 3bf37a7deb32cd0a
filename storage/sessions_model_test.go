package storage

import (
	"maps"
	"slices"
	"time"
)

// sessionModel says what the store must answer, from the documentation of its methods alone: tokens in maps, and a clock that is
// moved by hand.
type sessionModel struct {
	now      time.Time
	sessions []*modelSession
}

type modelSession struct {
	id, subject, client string
	numbered            bool // its refresh tokens have numbers
	selfContained       bool // its access tokens are, as they are made
	contained           bool // and as they are stored
	over                bool // it has ended
	checked             bool // since then
	evicted             bool
	ends                time.Time // zero: never
	until               time.Time // when it ends by itself
	indexed             time.Time // when it ends, by the index, which a revocation leaves as it is; zero: it is not there
	access, refresh     map[string]*modelToken
	current             string   // refresh token; empty: none
	used                []string // the last one first
	number              uint32
}

type modelToken struct {
	expires time.Time
	number  uint32
	revoked bool
	vague   bool // a used token that the session need not know any more

	answer      []byte // given again
	answerUntil time.Time
}

// What a look-up or a refresh ends in. When it is not certain, as for a used token that was forgotten, either will do.
const (
	found    = "found"
	wasUsed  = "used"
	missing  = "not found"
	conflict = "conflict"
)

func (m *sessionModel) lookUpAccess(s *modelSession, name string) []string {
	switch token := s.access[name]; {
	case s.over || token == nil:
		return []string{missing}
	case s.contained && !token.expires.After(m.now): // who asks has checked that
		return []string{found, missing}
	case token.revoked || !token.expires.After(m.now):
		return []string{missing}
	}
	return []string{found}
}

func (m *sessionModel) lookUpRefresh(s *modelSession, name string) []string {
	switch token := s.refresh[name]; {
	case s.over || s.evicted || token == nil || token.revoked:
		return []string{missing}
	case name == s.current && token.expires.After(m.now):
		return []string{found}
	case name == s.current:
		return []string{missing}
	case token.vague || !m.valid(s):
		return []string{found, wasUsed, missing}
	case token.answerUntil.After(m.now):
		return []string{found}
	}
	return []string{wasUsed}
}

// valid tells whether a session has a token that is valid, or was before it was evicted.
func (m *sessionModel) valid(s *modelSession) bool {
	if token := s.refresh[s.current]; !s.over && token != nil && token.expires.After(m.now) {
		return true
	}
	return !s.over && slices.ContainsFunc(slices.Collect(maps.Values(s.access)), func(token *modelToken) bool {
		return !token.revoked && token.expires.After(m.now)
	})
}

// open is a login. Where the sessions of a subject at the client are limited, those that end first cannot be refreshed any more.
func (m *sessionModel) open(s *modelSession, limit int, call modelCall) {
	s.access, s.refresh = map[string]*modelToken{}, map[string]*modelToken{}
	m.issue(s, call)
	var others []*modelSession
	for _, o := range m.sessions {
		if o.subject == s.subject && o.client == s.client && !o.over && !o.evicted && o.until.After(m.now) && !o.indexed.IsZero() {
			others = append(others, o)
		}
	}
	slices.SortFunc(others, func(a, b *modelSession) int { return a.indexed.Compare(b.indexed) })
	for limit > 0 && len(others) >= limit {
		others[0].evicted = true
		others = others[1:]
	}
	m.sessions = append(m.sessions, s)
}

// modelCall has the names and the TTLs of new tokens. No refresh token: the offered one stays the current one.
type modelCall struct {
	offered, access, refresh string
	accessTTL, refreshTTL    time.Duration
	answer                   []byte
	grace                    time.Duration
	number                   uint32 // of the new refresh token
	three                    bool   // by fosite's three calls
}

// capped is when a token expires that would expire at a time.
func (s *modelSession) capped(at time.Time) time.Time {
	if !s.ends.IsZero() && at.After(s.ends) {
		return s.ends
	}
	return at
}

func (m *sessionModel) issue(s *modelSession, c modelCall) {
	s.access[c.access] = &modelToken{expires: s.capped(m.now.Add(c.accessTTL))}
	if c.refresh != "" {
		if s.current != "" {
			s.used = slices.Insert(s.used, 0, s.current)
		}
		if !s.numbered && len(s.used) > 8 {
			s.refresh[s.used[8]].vague = true
		}
		s.number++
		s.current, s.refresh[c.refresh] = c.refresh, &modelToken{expires: s.capped(m.now.Add(c.refreshTTL)), number: c.number}
	}
	until := s.lastExpiry()
	if token := s.refresh[c.offered]; token != nil && token.expires.After(until) { // it is known as used until then
		until = token.expires
	}
	if s.contained && s.until.After(until) { // that they were revoked one by one does not end the session before
		until = s.until
	}
	s.until, s.indexed = until, until
}

// rotate is a refresh. It returns what it may end in, and the answer of before.
func (m *sessionModel) rotate(s *modelSession, c modelCall) (outcomes []string, earlier []byte) {
	outcomes = m.lookUpRefresh(s, c.offered)
	token := s.refresh[c.offered]
	switch {
	case len(outcomes) > 1:
		return append(outcomes, conflict), nil // as a used one within its grace
	case outcomes[0] == missing:
		return outcomes, nil
	case c.offered != s.current && c.refresh != "" && c.refresh == s.current:
		return []string{found}, nil // it ran before
	case c.offered == s.current:
		if c.three {
			for _, listed := range s.access {
				listed.revoked = listed.revoked || !s.contained
			}
		}
		if c.refresh != "" && c.grace > 0 {
			token.answer, token.answerUntil = c.answer, m.now.Add(c.grace)
		}
		m.issue(s, c)
		return []string{found}, nil
	case token.answerUntil.After(m.now) && (c.three || len(token.answer) == 0):
		return []string{conflict}, nil
	case token.answerUntil.After(m.now):
		return []string{found}, token.answer
	}
	s.over = !c.three
	return []string{wasUsed}, nil
}

// revoke ends tokens of a session, which ends when it has no valid one left.
func (m *sessionModel) revoke(s *modelSession, access, refresh bool) {
	if access {
		for _, token := range s.access {
			token.revoked = true
		}
	}
	if refresh {
		for _, token := range s.refresh {
			token.revoked = true
		}
		s.current, s.used = "", nil
	}
	if access && s.contained { // from now on they are listed
		s.contained = false
	}
	m.endUnlessValid(s)
}

func (m *sessionModel) endUnlessValid(s *modelSession) {
	if s.contained {
		return
	}
	s.until = s.lastExpiry()
	s.over = s.over || !s.until.After(m.now)
}

// lastExpiry is when the last token expires, of those that were not revoked.
func (s *modelSession) lastExpiry() (last time.Time) {
	for _, token := range append(slices.Collect(maps.Values(s.access)), s.refresh[s.current]) {
		if token != nil && !token.revoked && token.expires.After(last) {
			last = token.expires
		}
	}
	return last
}

func (m *sessionModel) dropRefresh(s *modelSession, name string) {
	switch token := s.refresh[name]; {
	case token == nil:
	case name == s.current:
		token.revoked, s.current = true, ""
		for _, used := range s.used { // the number of one tells nothing without that of the current one
			s.refresh[used].vague = s.refresh[used].vague || s.numbered
		}
	default:
		token.vague = true // it could not be used before, and may be forgotten now
	}
	m.endUnlessValid(s)
}
