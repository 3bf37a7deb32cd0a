package storagetest

import (
	"maps"
	"time"

	"github.com/ory/fosite"
)

// Session is the session that the suite stores unless Harness.NewSession makes another. It is a type that no store can know, and
// is encoded as JSON like fosite's own.
type Session struct {
	Subject  string
	Username string
	Expires  map[fosite.TokenType]time.Time // :: token type → when it expires
	Claims   map[string]string
}

var _ fosite.Session = (*Session)(nil)

// SetExpiresAt implements fosite.Session.
func (s *Session) SetExpiresAt(key fosite.TokenType, exp time.Time) {
	if s.Expires == nil {
		s.Expires = map[fosite.TokenType]time.Time{}
	}
	s.Expires[key] = exp
}

// GetExpiresAt implements fosite.Session.
func (s *Session) GetExpiresAt(key fosite.TokenType) time.Time { return s.Expires[key] }

// GetUsername implements fosite.Session.
func (s *Session) GetUsername() string { return s.Username }

// GetSubject implements fosite.Session.
func (s *Session) GetSubject() string { return s.Subject }

// SetSubject lets fosite's password handler set the subject.
func (s *Session) SetSubject(subject string) { s.Subject = subject }

// Clone implements fosite.Session.
func (s *Session) Clone() fosite.Session {
	if s == nil {
		return nil
	}
	c := *s
	c.Expires, c.Claims = maps.Clone(s.Expires), maps.Clone(s.Claims)
	return &c
}
