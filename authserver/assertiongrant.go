package authserver

import (
	"context"
	"errors"

	"github.com/golang-jwt/jwt/v5"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
)

// assertionHandler is the assertion grant (RFC 7523 section 2.1) for services: a client that has registered keys proves who
// it is with a JWT that it signed, and gets an access token for itself. It never speaks for a person: who could sign for
// one could be anyone.
type assertionHandler struct {
	server *Server
	helper *oauth2.HandleHelper
}

var _ fosite.TokenEndpointHandler = (*assertionHandler)(nil)

// CanSkipClientAuth implements fosite.TokenEndpointHandler: the assertion itself proves the client (RFC 7523 section 3.1).
func (*assertionHandler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return true }

// CanHandleTokenEndpointRequest implements fosite.TokenEndpointHandler.
func (*assertionHandler) CanHandleTokenEndpointRequest(_ context.Context, req fosite.AccessRequester) bool {
	return req.GetGrantTypes().ExactOne(policy.GrantJWTBearer)
}

// HandleTokenEndpointRequest implements RFC 7523 sections 2.1 and 3.
func (h *assertionHandler) HandleTokenEndpointRequest(ctx context.Context, req fosite.AccessRequester) error {
	if !h.CanHandleTokenEndpointRequest(ctx, req) {
		return fosite.ErrUnknownRequest
	}
	client, claims, err := h.check(ctx, req)
	if err != nil {
		return err
	}
	for _, scope := range req.GetRequestedScopes() {
		if !fosite.ExactScopeStrategy(client.GetScopes(), scope) {
			return fosite.ErrInvalidScope
		}
	}
	if err := fosite.ExactAudienceMatchingStrategy(client.GetAudience(), req.GetRequestedAudience()); err != nil {
		return err
	}
	if err := h.server.useOnce(ctx, client.GetID(), claims); err != nil {
		return notGranted(err)
	}
	return h.server.begin(ctx, req)
}

func (h *assertionHandler) check(ctx context.Context, req fosite.AccessRequester) (Client, *jwt.RegisteredClaims, error) {
	assertion := req.GetRequestForm().Get("assertion")
	var unverified jwt.RegisteredClaims
	if !tokenCharacters(assertion) {
		return nil, nil, invalidGrant("The assertion is malformed.")
	}
	if _, _, err := jwt.NewParser().ParseUnverified(assertion, &unverified); err != nil {
		return nil, nil, invalidGrant("The assertion is malformed.")
	}
	if unverified.Issuer == "" || unverified.Issuer != unverified.Subject {
		return nil, nil, invalidGrant("The assertion must be the client's own, about itself.")
	}
	access, ok := req.(*fosite.AccessRequest)
	if !ok {
		return nil, nil, errors.New("authserver: a request of another making")
	}
	if id := access.GetRequestForm().Get("client_id"); id != "" && id != unverified.Issuer {
		return nil, nil, invalidGrant("The assertion is another client's.")
	}
	client, err := h.server.client(ctx, unverified.Issuer)
	if err != nil {
		return nil, nil, notGranted(err)
	}
	claims, err := h.server.verifyAssertion(client, assertion)
	if err != nil {
		return nil, nil, notGranted(err)
	}
	if !client.GetGrantTypes().Has(policy.GrantJWTBearer) || client.Policy().Legacy() {
		return nil, nil, fosite.ErrUnauthorizedClient
	}
	access.Client = client
	return client, claims, nil
}

// notGranted turns what would be invalid_client elsewhere into the error of this grant (RFC 7523 section 3.1). A don't-know
// stays one.
func notGranted(err error) error {
	if errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		return err
	}
	return &Error{Status: 400, Code: "invalid_grant", Description: "The assertion is not valid.", Cause: err}
}

// PopulateTokenEndpointResponse implements RFC 7523 section 2.1.
func (h *assertionHandler) PopulateTokenEndpointResponse(ctx context.Context, req fosite.AccessRequester, resp fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, req) {
		return fosite.ErrUnknownRequest
	}
	return h.server.issue(ctx, req, resp, h.helper, nil)
}
