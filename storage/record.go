package storage

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/ory/fosite"
)

// session is the stored form of one login, as transition.lua keeps it. Times are milliseconds of Redis's clock.
type session struct {
	Version   int    `json:"v"`
	ID        string `json:"id,omitempty"` // fosite's request ID where it is not the location itself
	Doc       string `json:"d"`            // the request, a document of its own that Lua never looks into
	Created   int64  `json:"at"`
	LastUsed  int64  `json:"l"`
	Address   string `json:"ip,omitempty"`
	UserAgent string `json:"ua,omitempty"`
	Ends      int64  `json:"x,omitempty"` // absolute end, whatever is refreshed

	Current        string `json:"c,omitempty"` // hash of the refresh token that is good
	CurrentExpires int64  `json:"ce,omitempty"`
	Previous       string `json:"p,omitempty"` // hash of the one before, which the grace may still honour
	Used           string `json:"u,omitempty"` // older ones, 12 characters each

	Access map[string]int64 `json:"a,omitempty"` // hash of access token → expiry

	// Proven sessions list no access tokens: those prove themselves, and Revoked names the ones that were revoked alone.
	Proven        bool             `json:"j,omitempty"`
	AccessExpires int64            `json:"ae,omitempty"` // of the last of them
	Revoked       map[string]int64 `json:"r,omitempty"`
}

const recordVersion = 1

func decodeSession(raw string) (*session, error) {
	var s session
	if err := json.Unmarshal([]byte(raw), &s); err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	if s.Version != recordVersion {
		return nil, fmt.Errorf("%w: version %d", errRecord, s.Version)
	}
	return &s, nil
}

// access tells whether the hash names an access token that is good.
func (s *session) access(hash string, now int64) bool {
	if expires, listed := s.Access[hash]; listed {
		return expires > now
	}
	_, revoked := s.Revoked[hash]
	return s.Proven && !revoked && s.AccessExpires > now
}

// used tells whether the hash names a refresh token that was good once.
func (s *session) used(hash string) bool {
	if s.Previous == hash {
		return true
	}
	short := hash[:usedLength]
	for i := 0; i+usedLength <= len(s.Used); i += usedLength {
		if s.Used[i:i+usedLength] == short {
			return true
		}
	}
	return false
}

// document is the stored form of a fosite request. The session inside stays in the form that its own type gives it.
type document struct {
	At                int64           `json:"t"`
	Client            string          `json:"c"`
	Subject           string          `json:"u,omitempty"`
	Scopes            []string        `json:"g,omitempty"`
	RequestedScopes   []string        `json:"r,omitempty"`
	Audience          []string        `json:"ga,omitempty"`
	RequestedAudience []string        `json:"ra,omitempty"`
	Form              url.Values      `json:"f,omitempty"`
	Session           json.RawMessage `json:"s"`
}

func encodeRequest(req fosite.Requester) (string, error) {
	s, err := json.Marshal(req.GetSession())
	if err != nil {
		return "", fmt.Errorf("storage: encode session: %w", err)
	}
	raw, err := json.Marshal(document{
		At:                req.GetRequestedAt().UnixMilli(),
		Client:            req.GetClient().GetID(),
		Subject:           req.GetSession().GetSubject(),
		Scopes:            req.GetGrantedScopes(),
		RequestedScopes:   req.GetRequestedScopes(),
		Audience:          req.GetGrantedAudience(),
		RequestedAudience: req.GetRequestedAudience(),
		Form:              req.GetRequestForm(),
		Session:           s,
	})
	if err != nil {
		return "", fmt.Errorf("storage: encode request: %w", err)
	}
	return string(raw), nil
}

// request makes a fosite request of the document. The caller's session is filled, and becomes the request's; a nil one
// stays nil, as fosite asks for where it only wants to know whose token it is.
func (d *document) request(id string, client fosite.Client, into fosite.Session) (*fosite.Request, error) {
	if into != nil {
		if err := json.Unmarshal(d.Session, into); err != nil {
			return nil, fmt.Errorf("%w: session: %w", errRecord, err)
		}
	}
	form := d.Form
	if form == nil {
		form = url.Values{}
	}
	return &fosite.Request{
		ID:                id,
		RequestedAt:       time.UnixMilli(d.At).UTC(),
		Client:            client,
		RequestedScope:    d.RequestedScopes,
		GrantedScope:      d.Scopes,
		RequestedAudience: d.RequestedAudience,
		GrantedAudience:   d.Audience,
		Form:              form,
		Session:           into,
	}, nil
}

func decodeDocument(raw string) (*document, error) {
	var d document
	if err := json.Unmarshal([]byte(raw), &d); err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	return &d, nil
}
