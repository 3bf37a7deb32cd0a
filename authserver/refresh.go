package authserver

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
)

// refreshHandler is fosite's refresh grant with another last step. Look-up, client binding, expiry and scopes stay
// fosite's; what is then written is one atomic step of the store, by the client's policy.
type refreshHandler struct {
	*oauth2.RefreshTokenGrantHandler
	server    *Server
	undecided undecided
}

var _ fosite.TokenEndpointHandler = (*refreshHandler)(nil)

// HandleTokenEndpointRequest implements RFC 6749 section 6.
func (h *refreshHandler) HandleTokenEndpointRequest(ctx context.Context, req fosite.AccessRequester) error {
	if !h.CanHandleTokenEndpointRequest(ctx, req) {
		return fosite.ErrUnknownRequest
	}
	presented := req.GetRequestForm().Get("refresh_token")
	var expires int64
	if looksLikeJWT(presented) {
		// A JWT can be judged before the store is asked, and an expired one be told from one that never was.
		t, err := h.server.verify(ctx, presented)
		if err == nil && t.kind != KindRefresh {
			err = ErrTokenInvalid
		}
		if err != nil {
			return refusedRefresh(err)
		}
		expires = t.expires.Unix()
		if t.session == "" {
			if err := h.server.adopt(ctx, req, presented, t); err != nil {
				return refusedRefresh(err)
			}
		}
	}
	asked := strings.Fields(req.GetRequestForm().Get("scope"))
	if err := h.RefreshTokenGrantHandler.HandleTokenEndpointRequest(ctx, req); err != nil {
		return refusedRefresh(err)
	}
	session, err := sessionFrom(req)
	if err != nil {
		return err
	}
	if session.Role != "" {
		return invalidGrant("The session was opened for a role and gets no further tokens.")
	}
	if err := narrow(session, req.GetGrantedScopes(), asked); err != nil {
		return err
	}
	client := policyOf(req.GetClient())
	access, refresh := h.server.ttl(client)
	now := h.server.config.Now()
	session.issued = now.Unix()
	session.AccessExpires = now.Add(access).Unix()
	if !client.Static() {
		session.RefreshExpires = now.Add(refresh).Unix()
	} else if expires > 0 {
		session.RefreshExpires = expires
	}
	capToSession(session, client)
	return h.server.hydrate(ctx, session)
}

// refusedRefresh keeps don't-knows as they are and makes one verdict of all others.
func refusedRefresh(err error) error {
	switch {
	case errors.Is(err, fosite.ErrTemporarilyUnavailable):
		return err
	case errors.Is(err, ErrTokenExpired), errors.Is(err, fosite.ErrTokenExpired):
		return &Error{Status: 400, Code: "invalid_grant", Description: expiredRefresh}
	case errors.Is(err, ErrTokenInvalid), errors.Is(err, fosite.ErrInactiveToken):
		return fosite.ErrInvalidGrant.WithWrap(err)
	}
	return err
}

// narrow takes a narrower scope for the access token, and refuses a wider one (RFC 6749 section 6). The refresh token keeps
// what the login was granted.
func narrow(session *Session, granted fosite.Arguments, asked []string) error {
	if len(asked) == 0 {
		return nil
	}
	for _, scope := range asked {
		if !slices.Contains(granted, scope) { // Arguments.Has would ignore the case
			return invalidScope("The scope is more than the session was granted.")
		}
	}
	session.scopes = asked
	return nil
}

// hydrate reads anew what tokens say about the subject: a right that was taken away is not in the next token, and a subject
// that is gone gets none.
func (s *Server) hydrate(ctx context.Context, session *Session) error {
	if session.Subject == "" || s.config.Users == nil {
		return nil
	}
	claims, err := s.config.Users.Claims(ctx, session.Subject)
	if errors.Is(err, fosite.ErrNotFound) && !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		return fosite.ErrInvalidGrant.WithWrap(err)
	}
	session.claims = claims
	return err
}

// PopulateTokenEndpointResponse implements RFC 6749 section 6 and section 4.14.2 of RFC 9700: a rotated token that comes
// back gets its first answer again within the client's grace, and ends the session after it.
func (h *refreshHandler) PopulateTokenEndpointResponse(ctx context.Context, req fosite.AccessRequester, resp fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, req) {
		return fosite.ErrUnknownRequest
	}
	session, err := sessionFrom(req)
	if err != nil {
		return err
	}
	presented := req.GetRequestForm().Get("refresh_token")
	given, sealed, err := h.offer(ctx, req, session, presented)
	if err != nil {
		return err
	}
	refreshSignature := ""
	if given.Refresh != "" {
		refreshSignature = h.server.signatureOf(given.Refresh)
	}
	earlier, err := h.server.config.Storage.RefreshSession(
		ctx, h.server.signatureOf(presented), h.server.signatureOf(given.Access), refreshSignature, sealed, stored(req))
	if err != nil && !verdict(err) {
		if sealed != nil {
			h.undecided.remember(presented, sealed, h.server.config.Now())
		}
		return err
	}
	h.undecided.decided(presented)
	switch {
	case errors.Is(err, fosite.ErrInactiveToken):
		h.server.config.Log.WarnContext(ctx, "a used refresh token came back: session ended",
			"session", req.GetID(), "client", req.GetClient().GetID(), "subject", session.Subject)
		return fosite.ErrInvalidGrant.WithWrap(err)
	case err != nil:
		return fosite.ErrInvalidGrant.WithWrap(err)
	}
	if earlier != nil {
		if given, err = open(presented, earlier); err != nil {
			return err
		}
	}
	h.server.respond(resp, given)
	return nil
}

// verdict tells whether the store has judged the token.
func verdict(err error) bool {
	return !errors.Is(err, fosite.ErrTemporarilyUnavailable) && (errors.Is(err, fosite.ErrInactiveToken) ||
		errors.Is(err, fosite.ErrNotFound) || errors.Is(err, fosite.ErrSerializationFailure))
}

// offer makes the tokens that this refresh is to give, and seals them where they replace the one that was presented. After a
// refresh without a verdict they are the same again.
func (h *refreshHandler) offer(ctx context.Context, req fosite.AccessRequester, session *Session, presented string) (given answer, sealed []byte, err error) {
	rotating := !policyOf(req.GetClient()).Static()
	if rotating {
		if before, ok := h.undecided.recall(presented, h.server.config.Now()); ok {
			sealed, err = seal(presented, before)
			return before, sealed, err
		}
	}
	given = answer{Expires: session.AccessExpires, Scopes: req.GetGrantedScopes()}
	if session.scopes != nil {
		given.Scopes = session.scopes
	}
	if given.Access, _, err = h.AccessTokenStrategy.GenerateAccessToken(ctx, req); err != nil || !rotating {
		return given, nil, err
	}
	if given.Refresh, _, err = h.RefreshTokenStrategy.GenerateRefreshToken(ctx, req); err != nil {
		return given, nil, err
	}
	sealed, err = seal(presented, given)
	return given, sealed, err
}

// stored is the request as the store keeps it: nothing of the form, which the session makes up for.
func stored(req fosite.Requester) fosite.Requester {
	r := req.Sanitize(nil)
	clear(r.GetRequestForm())
	return r
}

func (s *Server) respond(resp fosite.AccessResponder, a answer) {
	resp.SetAccessToken(a.Access)
	resp.SetTokenType("bearer")
	resp.SetExpiresIn(time.Duration(a.Expires-s.config.Now().Unix()) * time.Second)
	resp.SetScopes(a.Scopes)
	if a.Refresh != "" {
		resp.SetExtra("refresh_token", a.Refresh)
	}
}

// refreshLookup is the store as fosite's refresh handler sees it. A token that was used before is let through to the last
// step, which alone ends a session: fosite would act on it before it has looked at the client, so that anybody who learns
// a used token could log its owner out.
type refreshLookup struct{ Storage }

// GetRefreshTokenSession implements fosite's RefreshTokenStorage.
func (l refreshLookup) GetRefreshTokenSession(ctx context.Context, signature string, session fosite.Session) (fosite.Requester, error) {
	req, err := l.Storage.GetRefreshTokenSession(ctx, signature, session)
	if req != nil && errors.Is(err, fosite.ErrInactiveToken) {
		return req, nil
	}
	return req, err
}
