package storage

import (
	"encoding"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// session is the stored form of one login, as transition.lua keeps it. Times are milliseconds of Redis's clock.
type session struct {
	Version   int    `json:"v"`
	ID        string `json:"id,omitempty"` // fosite's request ID, unless it is the session key
	Doc       string `json:"d"`            // the request as JSON, which Lua does not look into
	Created   int64  `json:"at"`
	LastUsed  int64  `json:"l"`
	Address   string `json:"ip,omitempty"`
	UserAgent string `json:"ua,omitempty"`
	Ends      int64  `json:"x,omitempty"` // end of the session, however often it is refreshed

	// Generation and ClientGeneration are those of the user and the client when the session was opened. It has ended once one
	// of them is another.
	Generation       string `json:"g,omitempty"`
	ClientGeneration string `json:"cg,omitempty"`
	// Parent is the hash of the access token that the session was made from. Empty for one that was made from a refresh token
	// or from none. The names of the sessions that it was made from are in its ID.
	Parent string `json:"f,omitempty"`

	Current        string `json:"c,omitempty"` // hash of the current refresh token
	CurrentExpires int64  `json:"ce,omitempty"`
	Previous       string `json:"p,omitempty"` // hash of the one before, which may be in its grace period
	Used           string `json:"u,omitempty"` // older ones, 12 characters each

	Access map[string]int64 `json:"a,omitempty"` // hash of access token → expiry

	// SelfContained sessions list no access tokens, only those that were revoked.
	SelfContained bool             `json:"j,omitempty"`
	AccessExpires int64            `json:"ae,omitempty"` // of the last of them
	Revoked       map[string]int64 `json:"r,omitempty"`
}

const recordVersion = 1

func decodeSession(op, raw string) (*session, error) {
	var s session
	if err := decodeRecord(op, raw, &s, &s.Version); err != nil {
		return nil, err
	}
	return &s, nil
}

// decodeRecord reads a stored record into a struct, and checks the version in it. Its errors are marked as unavailable.
func decodeRecord(op, raw string, into any, version *int) error {
	if err := json.Unmarshal([]byte(raw), into); err != nil {
		return unavailable.Error(op, fmt.Errorf("%w: %w", unavailable.ErrRecord, err))
	}
	if *version != recordVersion {
		return unavailable.Error(op, fmt.Errorf("%w: version %d", unavailable.ErrRecord, *version))
	}
	return nil
}

// requestID returns fosite's request ID of the session.
func (s *session) requestID(key sessionKey) string {
	if s.ID != "" {
		return s.ID
	}
	return string(key)
}

// document is the stored form of a fosite request. The session inside is encoded by its own type.
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
	s, err := marshalSession(req.GetSession())
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

// request makes a fosite request of the document, and decodes the session into the caller's. A nil one stays nil: fosite
// passes nil when it only wants to know whose token it is.
func (d *document) request(id string, client fosite.Client, into fosite.Session) (*fosite.Request, error) {
	if into != nil {
		if err := unmarshalSession(d, into); err != nil {
			return nil, fmt.Errorf("%w: session: %w", unavailable.ErrRecord, err)
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

func decodeDocument(op, raw string) (*document, error) {
	var d document
	if err := json.Unmarshal([]byte(raw), &d); err != nil {
		return nil, unavailable.Error(op, fmt.Errorf("%w: %w", unavailable.ErrRecord, err))
	}
	if len(d.Session) == 0 {
		return nil, unavailable.Error(op, fmt.Errorf("%w: nothing of the session", unavailable.ErrRecord))
	}
	return &d, nil
}

// marshalSession encodes a session by its own MarshalBinary, as base64 in quotes, or as JSON.
func marshalSession(session fosite.Session) ([]byte, error) {
	if own, ok := session.(encoding.BinaryMarshaler); ok {
		data, err := own.MarshalBinary()
		if err != nil {
			return nil, err
		}
		return json.Marshal(data)
	}
	return json.Marshal(session)
}

func unmarshalSession(d *document, into fosite.Session) error {
	own, ok := into.(encoding.BinaryUnmarshaler)
	if !ok || d.Session[0] != '"' {
		return json.Unmarshal(d.Session, into)
	}
	if err := own.UnmarshalBinary(d.data()); err != nil {
		return err
	}
	if s, ok := into.(interface{ SetSubject(subject string) }); ok {
		s.SetSubject(d.Subject)
	}
	return nil
}

// data is the session as its own type encoded it.
func (d *document) data() []byte {
	var binary []byte
	if err := json.Unmarshal(d.Session, &binary); err == nil {
		return binary
	}
	return d.Session
}
