package authserver

import (
	"context"
	"strconv"
	"time"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
)

// begin opens the session of a grant that has been checked: its ID, its lives, its scopes, and what its tokens say.
func (s *Server) begin(ctx context.Context, req fosite.AccessRequester) error {
	session, err := sessionFrom(req)
	if err != nil {
		return err
	}
	client := policyOf(req.GetClient())
	req.SetID(s.config.Storage.SessionID(session.Subject))
	access, refresh := s.ttl(client)
	now := s.config.Now()
	session.issued = now.Unix()
	session.AccessExpires = now.Add(access).Unix()
	session.RefreshExpires = now.Add(refresh).Unix()
	if session.Subject != "" {
		session.LoggedIn = now.Unix()
	}
	if client.Legacy() {
		if err := legacyParameters(session, req, now); err != nil {
			return err
		}
	}
	capToSession(session, client)
	scopes := []string(req.GetRequestedScopes())
	if len(scopes) == 0 {
		scopes = client.DefaultScopes
	}
	for _, scope := range scopes {
		req.GrantScope(scope)
	}
	for _, audience := range req.GetRequestedAudience() {
		req.GrantAudience(audience)
	}
	return s.hydrate(ctx, session)
}

// capToSession ends tokens with their session at the latest, so that one that is verified without us does too.
func capToSession(session *Session, client policy.Client) {
	if client.MaxSessionTTL <= 0 || session.LoggedIn == 0 {
		return
	}
	end := session.LoggedIn + int64(client.MaxSessionTTL/time.Second)
	session.AccessExpires = min(session.AccessExpires, end)
	session.RefreshExpires = min(session.RefreshExpires, end)
}

// legacyParameters reads what a login of the legacy profile may ask for besides scopes: the life of its access token in
// seconds, which may be over already, and a role to be named in its tokens.
func legacyParameters(session *Session, req fosite.AccessRequester, now time.Time) error {
	if text := req.GetRequestForm().Get("expires_in"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds > maxLegacyLife || seconds < -maxLegacyLife {
			return invalidRequest("The parameter expires_in is not a number of seconds.")
		}
		session.AccessExpires = now.Unix() + seconds
	}
	session.Role = req.GetRequestForm().Get("role")
	return nil
}

// maxLegacyLife keeps sums of times inside what every JSON reader takes for an integer.
const maxLegacyLife = 1 << 50

// issue makes the tokens of a new session and stores them.
func (s *Server) issue(ctx context.Context, req fosite.AccessRequester, resp fosite.AccessResponder, helper *oauth2.HandleHelper, refresh oauth2.RefreshTokenStrategy) error {
	session, err := sessionFrom(req)
	if err != nil {
		return err
	}
	access, accessSignature, err := helper.AccessTokenStrategy.GenerateAccessToken(ctx, req)
	if err != nil {
		return err
	}
	given := answer{Access: access, Expires: session.AccessExpires, Scopes: req.GetGrantedScopes()}
	record := stored(req)
	if err := s.config.Storage.CreateAccessTokenSession(ctx, accessSignature, record); err != nil {
		return err
	}
	if refresh != nil && req.GetClient().GetGrantTypes().Has(policy.GrantRefreshToken) {
		token, signature, err := refresh.GenerateRefreshToken(ctx, req)
		if err != nil {
			return err
		}
		given.Refresh = token
		if err := s.config.Storage.CreateRefreshTokenSession(ctx, signature, accessSignature, record); err != nil {
			return err
		}
	}
	s.respond(resp, given)
	return nil
}
