package authserver

import (
	"context"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
)

// jwtBearerGrant is the JWT bearer grant (RFC 7523 section 2.1) for services: a client that has registered keys proves its
// identity with a JWT that it signed, and gets an access token for itself. An assertion about a user is refused, because
// the client could then act as any user.
type jwtBearerGrant struct{ server *Server }

// check implements RFC 7523 sections 2.1 and 3.
func (g jwtBearerGrant) check(ctx context.Context, req fosite.AccessRequester) error {
	assertion := req.GetRequestForm().Get("assertion")
	client, claims, err := g.authenticate(ctx, req, assertion)
	if err != nil {
		return err
	}
	if err := checkScopeAndAudience(client, req); err != nil {
		return err
	}
	if err := g.server.useOnce(ctx, client.GetID(), assertion, claims); err != nil {
		return assertionRefused(err)
	}
	return g.server.newSession(ctx, req)
}

// authenticate verifies the assertion and makes its issuer the client of the request. A client that authenticates besides
// must be the same one: RFC 7521 section 4.1 wants both credentials validated. fosite has refused wrong ones before, see
// grantHandler.CanSkipClientAuth.
func (g jwtBearerGrant) authenticate(ctx context.Context, req fosite.AccessRequester, assertion string) (Client, *jwt.RegisteredClaims, error) {
	id, err := assertionIssuer(assertion)
	switch {
	case errors.Is(err, errAssertionMalformed):
		return nil, nil, invalidGrant("The assertion is malformed.")
	case err != nil:
		return nil, nil, invalidGrant("The assertion must be the client's own, about itself.")
	}
	access, ok := req.(*fosite.AccessRequest)
	if !ok {
		return nil, nil, fmt.Errorf("authserver: a request of type %T", req)
	}
	named := access.GetRequestForm().Get("client_id")
	if authenticated := req.GetClient().GetID(); named != "" && named != id || authenticated != "" && authenticated != id {
		return nil, nil, invalidGrant("The assertion is another client's.")
	}
	client, err := g.server.client(ctx, id)
	if err != nil {
		return nil, nil, assertionRefused(err)
	}
	claims, err := g.server.verifyAssertion(client, assertion)
	if err != nil {
		return nil, nil, assertionRefused(err)
	}
	if !client.GetGrantTypes().Has(policy.GrantJWTBearer) || client.Policy().Legacy() {
		return nil, nil, fosite.ErrUnauthorizedClient
	}
	access.Client = client
	return client, claims, nil
}

// assertionRefused turns invalid_client into the error code of this grant (RFC 7523 section 3.1). An unavailable store stays
// unavailable.
func assertionRefused(err error) error {
	if isUnavailable(err) {
		return err
	}
	return invalidGrant("The assertion is not valid.").because(err)
}

// issue implements RFC 7523 section 2.1: without a refresh token.
func (g jwtBearerGrant) issue(ctx context.Context, req fosite.AccessRequester) (issuedTokens, error) {
	return g.server.storeSession(ctx, req, withoutRefreshToken)
}
