package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

var _ fosite.PARStorage = (*Tokens)(nil)

// pushedDocument is the stored form of a pushed authorization request. What both kinds of requests have is as in document.
type pushedDocument struct {
	RedirectURI   string    `json:"redirect_uri,omitempty"`
	ResponseTypes []string  `json:"response_types,omitempty"`
	Handled       []string  `json:"handled,omitempty"`
	State         string    `json:"state,omitempty"`
	Mode          string    `json:"mode,omitempty"`
	DefaultMode   string    `json:"default_mode,omitempty"`
	HasSession    bool      `json:"has_session,omitempty"`
	Username      string    `json:"username,omitempty"`
	Subject       string    `json:"subject,omitempty"`
	Expires       time.Time `json:"expires,omitzero"` // of the pushed request

	At                int64      `json:"at"`
	Client            string     `json:"client"`
	Scopes            []string   `json:"scopes,omitempty"`
	RequestedScopes   []string   `json:"requested_scopes,omitempty"`
	Audience          []string   `json:"audience,omitempty"`
	RequestedAudience []string   `json:"requested_audience,omitempty"`
	Form              url.Values `json:"form,omitempty"`
}

// defaultPushedTTL is fosite's own default.
const defaultPushedTTL = 5 * time.Minute

// CreatePARSession implements fosite's PARStorage (RFC 9126), in one round trip. The request expires with the session's entry for
// fosite.PushedAuthorizeRequestContext, or after five minutes where there is none.
//
// fosite passes the request as it came. Everything of it is stored except for credentials, such as the client's secret. Of its
// session only user name and subject are: fosite gives the request a new session before it is answered.
func (t *Tokens) CreatePARSession(ctx context.Context, requestURI string, req fosite.AuthorizeRequester) error {
	d := pushedDocument{
		ResponseTypes: req.GetResponseTypes(), State: req.GetState(),
		Mode: string(req.GetResponseMode()), DefaultMode: string(req.GetDefaultResponseMode()),
		At: req.GetRequestedAt().UnixMilli(), Client: req.GetClient().GetID(),
		Scopes: req.GetGrantedScopes(), RequestedScopes: req.GetRequestedScopes(),
		Audience: req.GetGrantedAudience(), RequestedAudience: req.GetRequestedAudience(),
		Form: withoutSecrets{req}.GetRequestForm(),
	}
	if uri := req.GetRedirectURI(); uri != nil {
		d.RedirectURI = uri.String()
	}
	if known, ok := req.(*fosite.AuthorizeRequest); ok {
		d.Handled = known.HandledResponseTypes
	}
	if session := req.GetSession(); session != nil {
		d.HasSession, d.Username, d.Subject = true, session.GetUsername(), session.GetSubject()
		d.Expires = session.GetExpiresAt(fosite.PushedAuthorizeRequestContext)
	}
	raw, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("storage: encode request: %w", err)
	}
	ttl := untilExpiry(req.GetSession(), fosite.PushedAuthorizeRequestContext, defaultPushedTTL)
	return t.putRequest(ctx, "store pushed request", t.db.Keys.Pushed(requestURI), ttl, req.GetID(), string(raw))
}

// GetPARSession implements fosite's PARStorage, in one round trip. fosite.ErrNotFound: there is no such request, it has expired, or
// it was used. Its session, if it had one, is a fosite.DefaultSession.
func (t *Tokens) GetPARSession(ctx context.Context, requestURI string) (fosite.AuthorizeRequester, error) {
	const op = "read pushed request"
	r, _, err := t.readRequest(ctx, op, t.db.Keys.Pushed(requestURI))
	if err != nil {
		return nil, err
	}
	var d pushedDocument
	if err := json.Unmarshal([]byte(r.document), &d); err != nil {
		return nil, unavailable.Error(op, fmt.Errorf("%w: %w", unavailable.ErrRecord, err))
	}
	client, err := t.clientOfStored(ctx, d.Client)
	if err != nil {
		return nil, err
	}
	req, err := d.request(r.requestID, client)
	if err != nil {
		return nil, unavailable.Error(op, fmt.Errorf("%w: %w", unavailable.ErrRecord, err))
	}
	return req, nil
}

func (d *pushedDocument) request(id string, client fosite.Client) (*fosite.AuthorizeRequest, error) {
	req := &fosite.AuthorizeRequest{
		ResponseTypes: d.ResponseTypes, HandledResponseTypes: d.Handled, State: d.State,
		ResponseMode: fosite.ResponseModeType(d.Mode), DefaultResponseMode: fosite.ResponseModeType(d.DefaultMode),
		Request: fosite.Request{
			ID: id, Client: client, RequestedAt: time.UnixMilli(d.At).UTC(), Form: d.Form,
			GrantedScope: d.Scopes, RequestedScope: d.RequestedScopes,
			GrantedAudience: d.Audience, RequestedAudience: d.RequestedAudience,
		},
	}
	if req.Form == nil {
		req.Form = url.Values{}
	}
	if d.HasSession {
		session := &fosite.DefaultSession{Username: d.Username, Subject: d.Subject}
		if !d.Expires.IsZero() {
			session.SetExpiresAt(fosite.PushedAuthorizeRequestContext, d.Expires)
		}
		req.Session = session
	}
	if d.RedirectURI != "" {
		uri, err := url.Parse(d.RedirectURI)
		if err != nil {
			return nil, err
		}
		req.RedirectURI = uri
	}
	return req, nil
}

// DeletePARSession implements fosite's PARStorage, in one round trip: a request is used once. One that is not there is not an error,
// since a browser may send the same request again before the first is answered (RFC 9126 section 4).
func (t *Tokens) DeletePARSession(ctx context.Context, requestURI string) error {
	return t.writeOrWait(ctx, "delete pushed request", redisdb.Command("DEL", t.db.Keys.Pushed(requestURI)))
}
