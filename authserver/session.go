package authserver

import (
	"maps"
	"slices"
	"time"

	"github.com/ory/fosite"
)

// Session is what the server keeps of a login beyond what fosite does. It is stored as JSON, so its fields are short.
type Session struct {
	Subject        string `json:"sub,omitempty"`
	AccessExpires  int64  `json:"ae,omitempty"` // seconds
	RefreshExpires int64  `json:"re,omitempty"`
	LoggedIn       int64  `json:"at,omitempty"`
	// Role is a role that the login asked for, as the legacy profile allows; its tokens carry it and get no further ones.
	Role string `json:"role,omitempty"`

	claims             map[string]any // about the subject, for the tokens of this request
	scopes             []string       // of the access token, where it was asked to be narrower than the session
	issued             int64          // when the tokens of this request are made, in seconds
	address, userAgent string
}

var _ fosite.Session = (*Session)(nil)

// SetSubject is called by fosite's password handler.
func (s *Session) SetSubject(subject string) { s.Subject = subject }

// SetExpiresAt implements fosite.Session.
func (s *Session) SetExpiresAt(key fosite.TokenType, at time.Time) {
	switch key {
	case fosite.AccessToken:
		s.AccessExpires = at.Unix()
	case fosite.RefreshToken:
		s.RefreshExpires = at.Unix()
	}
}

// GetExpiresAt implements fosite.Session.
func (s *Session) GetExpiresAt(key fosite.TokenType) time.Time {
	at := s.AccessExpires
	if key == fosite.RefreshToken {
		at = s.RefreshExpires
	}
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(at, 0).UTC()
}

// GetUsername implements fosite.Session.
func (s *Session) GetUsername() string { return s.Subject }

// GetSubject implements fosite.Session.
func (s *Session) GetSubject() string { return s.Subject }

// Origin says where the session was last used from, for lists that people read.
func (s *Session) Origin() (address, userAgent string) { return s.address, s.userAgent }

// SelfContainedAccess tells the store that access tokens are JWTs, verified before it is asked: it keeps no record of each.
func (s *Session) SelfContainedAccess() bool { return true }

// Clone implements fosite.Session.
func (s *Session) Clone() fosite.Session {
	if s == nil {
		return nil
	}
	c := *s
	c.claims = maps.Clone(s.claims)
	c.scopes = slices.Clone(s.scopes)
	return &c
}
