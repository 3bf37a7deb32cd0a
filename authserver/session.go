package authserver

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/admission"
)

// Session is what the server keeps of a session besides what fosite keeps. A Storage gets it as fosite.Session, stores what
// MarshalBinary returns and the subject, and gives both back by UnmarshalBinary and SetSubject. The JSON form is that of records
// of earlier versions.
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
	// Key is a hash of the ID of the key that signed the newest refresh token, if that is a JWT. MadeFrom are the IDs of the keys
	// that signed the tokens that the session was made from: an imported token, or the subject tokens of token exchanges. A
	// session ends when one of these keys is withdrawn.
	Key      keyHash  `json:"k,omitzero"`
	MadeFrom []string `json:"mf,omitempty"`

	// Ends is when the session ends whatever is refreshed, in Unix seconds, because what it was made from does. Zero: its
	// tokens alone say.
	Ends int64 `json:"x,omitempty"`
	// Limit is what a session of the legacy profile passes on at most to sessions that are made from it, because it was made
	// from a limited token itself: its own tokens need not say. Nil: nothing more than limitOf says.
	Limit *limit `json:"l,omitempty"`

	// The rest belongs to one request and is not stored.
	claims             map[string]any // about the subject, for new tokens
	scopes             []string       // of the access token, if a refresh asked for less than the session has
	issued             int64          // iat of new tokens, in Unix seconds
	refreshToken       *parsedToken   // of a refresh request
	audience           []string       // of the access token, if a refresh asked for less than the session has
	madeFrom           *Token         // the subject token of a token exchange
	subjectSignature   string         // of an access token that the session is made from
	exchangedFor       string         // issued_token_type of the response
	address, userAgent string
	withCredentials    bool // the token request has credentials of its client
	place              *admission.Ticket
}

// limit is the most that a session may have which is made from a token.
type limit struct {
	Scopes  most `json:"s,omitzero"`
	Targets most `json:"t,omitzero"`
}

// most is a set of values, or all values. The zero value is none.
type most struct {
	All  bool     `json:"all,omitempty"`
	List []string `json:"list,omitempty"`
}

var all = most{All: true}

func (m most) has(value string) bool { return m.All || slices.Contains(m.List, value) }

// and returns the values of a list that are in the set.
func (m most) and(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(value string) bool { return !m.has(value) })
}

var _ fosite.Session = (*Session)(nil)

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

// legacyLimits returns the scopes and the targets of an access token of the legacy profile. Nil scopes: nothing limits it.
func (s *Session) legacyLimits(req fosite.Requester) (scopes, targets []string) {
	scopes, targets = s.accessScopes(req), req.GetGrantedAudience()
	if len(scopes) == 0 {
		scopes = nil
		if s.Limit != nil && !s.Limit.Scopes.All {
			scopes = append([]string{}, s.Limit.Scopes.List...)
		}
	}
	if len(targets) == 0 && s.Limit != nil {
		targets = s.Limit.Targets.List
	}
	if len(s.audience) > 0 {
		targets = s.audience
	}
	return scopes, targets
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

// MadeFromAccessToken tells a Storage the signature of the access token that a new session is made from, which ends with
// that token. A Storage may look for this method.
func (s *Session) MadeFromAccessToken() (signature string) { return s.subjectSignature }

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
