package authserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ory/fosite"
)

// Session is what the server keeps of a session besides what fosite keeps. A Storage gets it as fosite.Session and stores
// its exported fields as JSON.
type Session struct {
	// Subject is the user. Empty for a client's own session.
	Subject string `json:"sub,omitempty"`
	// AccessExpires and RefreshExpires are the expiry of the newest tokens, LoggedIn is the time of the login. All are in
	// Unix seconds.
	AccessExpires  int64 `json:"ae,omitempty"`
	RefreshExpires int64 `json:"re,omitempty"`
	LoggedIn       int64 `json:"at,omitempty"`
	// Role is the role that a login of the legacy profile asked for. Its tokens carry it, and it gets no more tokens.
	Role string `json:"role,omitempty"`
	// Key is the ID of the key that signed the newest refresh token, if that is a JWT. MadeFrom are the IDs of the keys that
	// signed the tokens that the session was made from: an imported token, or the subject tokens of token exchanges. A
	// session ends when one of these keys is withdrawn.
	Key      string   `json:"k,omitempty"`
	MadeFrom []string `json:"mf,omitempty"`

	// The rest belongs to one request and is not stored.
	claims             map[string]any // about the subject, for new tokens
	scopes             []string       // of the access token, if a refresh asked for less than the session has
	issued             int64          // iat of new tokens, in Unix seconds
	refreshToken       *parsedToken   // of a refresh request
	address, userAgent string
	withCredentials    bool // the token request has credentials of its client
}

var _ fosite.Session = (*Session)(nil)

// KeysOf returns the IDs of the keys that a stored session depends on. data is a session as encoding/json encodes it.
func KeysOf(data []byte) ([]string, error) {
	var s Session
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("authserver: decode session: %w", err)
	}
	if s.Key == "" {
		return s.MadeFrom, nil
	}
	return append(slices.Clone(s.MadeFrom), s.Key), nil
}

// sessionFrom returns the session of a request that this server began.
func sessionFrom(req fosite.Requester) (*Session, error) {
	session, ok := req.GetSession().(*Session)
	if !ok {
		return nil, fmt.Errorf("authserver: a session of type %T", req.GetSession())
	}
	return session, nil
}

// accessScopes returns the scopes of the access token that the request gets.
func (s *Session) accessScopes(req fosite.Requester) []string {
	if s.scopes != nil {
		return s.scopes
	}
	return req.GetGrantedScopes()
}

// SetSubject sets the subject. fosite's password handler calls it.
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

// Origin returns the client's address and user agent, for lists of sessions. A Storage may look for this method.
func (s *Session) Origin() (address, userAgent string) { return s.address, s.userAgent }

// SelfContainedAccess tells a Storage that access tokens are JWTs, which the server verifies before it asks, so that no
// record of each is needed. A Storage may look for this method.
func (s *Session) SelfContainedAccess() bool { return true }

// Clone implements fosite.Session.
func (s *Session) Clone() fosite.Session {
	if s == nil {
		return nil
	}
	c := *s
	c.claims = maps.Clone(s.claims)
	c.scopes = slices.Clone(s.scopes)
	c.MadeFrom = slices.Clone(s.MadeFrom)
	return &c
}
