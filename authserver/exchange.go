package authserver

import (
	"context"
	"errors"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
)

// The token types of RFC 8693 section 3 that this server knows.
const (
	typeURN           = "urn:ietf:params:oauth:token-type:"
	typeAccessToken   = typeURN + "access_token"
	typeRefreshToken  = typeURN + "refresh_token"
	typeJWT           = typeURN + "jwt"
	parameterSubject  = "subject_token"
	parameterKind     = "subject_token_type"
	parameterActor    = "actor_token"
	parameterWantType = "requested_token_type"
)

// exchangeHandler is token exchange (RFC 8693): whoever holds a live token of a person may open a session of another
// client for the same person. It is the way out for clients of the legacy profile, and how a caller that shows a token
// instead of a password logs in.
type exchangeHandler struct {
	server  *Server
	helper  *oauth2.HandleHelper
	refresh oauth2.RefreshTokenStrategy
}

var _ fosite.TokenEndpointHandler = (*exchangeHandler)(nil)

// CanSkipClientAuth implements fosite.TokenEndpointHandler.
func (*exchangeHandler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

// CanHandleTokenEndpointRequest implements fosite.TokenEndpointHandler.
func (*exchangeHandler) CanHandleTokenEndpointRequest(_ context.Context, req fosite.AccessRequester) bool {
	return req.GetGrantTypes().ExactOne(policy.GrantTokenExchange)
}

// HandleTokenEndpointRequest implements RFC 8693 section 2.1.
func (h *exchangeHandler) HandleTokenEndpointRequest(ctx context.Context, req fosite.AccessRequester) error {
	if !h.CanHandleTokenEndpointRequest(ctx, req) {
		return fosite.ErrUnknownRequest
	}
	client, form := req.GetClient(), req.GetRequestForm()
	if !client.GetGrantTypes().Has(policy.GrantTokenExchange) {
		return fosite.ErrUnauthorizedClient
	}
	for _, scope := range req.GetRequestedScopes() {
		if !fosite.ExactScopeStrategy(client.GetScopes(), scope) {
			return fosite.ErrInvalidScope
		}
	}
	if err := fosite.ExactAudienceMatchingStrategy(client.GetAudience(), req.GetRequestedAudience()); err != nil {
		return err
	}
	if form.Get(parameterActor) != "" {
		return invalidRequest("The parameter actor_token is not supported.")
	}
	if want := form.Get(parameterWantType); want != "" && want != typeAccessToken && want != typeRefreshToken && want != typeJWT {
		return invalidRequest("The requested_token_type is not supported.")
	}
	t, err := h.server.Inspect(ctx, form.Get(parameterSubject))
	switch {
	case errors.Is(err, ErrTokenInvalid), errors.Is(err, ErrTokenExpired):
		return &Error{Status: 400, Code: "invalid_request", Description: "The subject_token is not valid.", Cause: err}
	case err != nil:
		return err
	case t.Subject == "" || t.Role != "":
		return &Error{Status: 400, Code: "invalid_request", Description: "The subject_token is not that of a person."}
	}
	switch form.Get(parameterKind) {
	case typeJWT:
	case typeAccessToken:
		if t.Kind != KindAccess {
			return invalidRequest("The subject_token is not of the subject_token_type.")
		}
	case typeRefreshToken:
		if t.Kind != KindRefresh {
			return invalidRequest("The subject_token is not of the subject_token_type.")
		}
	default:
		return invalidRequest("The subject_token_type is not supported.")
	}
	session, err := sessionFrom(req)
	if err != nil {
		return err
	}
	session.Subject = t.Subject
	return h.server.begin(ctx, req)
}

// PopulateTokenEndpointResponse implements RFC 8693 section 2.2.
func (h *exchangeHandler) PopulateTokenEndpointResponse(ctx context.Context, req fosite.AccessRequester, resp fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, req) {
		return fosite.ErrUnknownRequest
	}
	if err := h.server.issue(ctx, req, resp, h.helper, h.refresh); err != nil {
		return err
	}
	resp.SetExtra("issued_token_type", typeAccessToken)
	return nil
}
