package authserver

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
)

// newSession prepares the session of a grant whose request is valid: ID, expiry, scopes, audience, and the claims of its
// tokens. It stores nothing.
func (s *Server) newSession(ctx context.Context, req fosite.AccessRequester) error {
	session, err := sessionFrom(req)
	if err != nil {
		return err
	}
	client := policyOf(req.GetClient())
	access, refresh := s.ttl(client)
	now := s.config.Now()
	session.issued = now.Unix()
	session.AccessExpires = now.Add(access).Unix()
	session.RefreshExpires = now.Add(refresh).Unix()
	if from := session.madeFrom; from != nil {
		if err := s.limitTo(from, session, req); err != nil {
			return err
		}
	} else {
		req.SetID(s.config.Storage.SessionID(session.Subject))
		if session.Subject != "" {
			session.LoggedIn = now.Unix()
		}
	}
	if client.Legacy() {
		if err := readLegacyParameters(session, req, now); err != nil {
			return err
		}
	}
	capToSession(session, client)
	if session.madeFrom != nil && session.AccessExpires <= now.Unix() {
		return invalidRequest("The session of the subject_token is over for this client.")
	}
	if session.madeFrom == nil {
		grantRequested(req, client)
	}
	if err := s.loadClaims(ctx, session); err != nil {
		return err
	}
	if session.Role != "" && session.Role != session.claims["role"] {
		return invalidRequest("The role is not the user's.")
	}
	return nil
}

// grantRequested grants the scopes and the targets of a request, which the client may ask for.
func grantRequested(req fosite.AccessRequester, client policy.Client) {
	scopes := []string(req.GetRequestedScopes())
	if len(scopes) == 0 {
		scopes = client.DefaultScopes
	}
	for _, scope := range scopes {
		req.GrantScope(scope)
	}
	for _, target := range req.GetRequestedAudience() {
		req.GrantAudience(target)
	}
}

// ttl returns how long new tokens of the client are valid.
func (s *Server) ttl(client policy.Client) (access, refresh time.Duration) {
	access = cmp.Or(client.AccessTTL, s.config.AccessTTL)
	if access == 0 {
		access = defaultAccessTTL
		if client.Legacy() {
			access = defaultLegacyAccessTTL
		}
	}
	return access, cmp.Or(client.RefreshTTL, s.config.RefreshTTL, defaultRefreshTTL)
}

// capToSession lets no token outlive its session, because resource servers may verify tokens without asking.
func capToSession(session *Session, client policy.Client) {
	if session.Ends > 0 {
		session.AccessExpires = min(session.AccessExpires, session.Ends)
		session.RefreshExpires = min(session.RefreshExpires, session.Ends)
	}
	if client.MaxSessionTTL <= 0 || session.LoggedIn == 0 {
		return
	}
	end := session.LoggedIn + int64(client.MaxSessionTTL/time.Second)
	session.AccessExpires = min(session.AccessExpires, end)
	session.RefreshExpires = min(session.RefreshExpires, end)
}

// readLegacyParameters reads what a login of the legacy profile may ask for besides scopes: expires_in, the TTL of its
// access token in seconds, and role, which its tokens name. The TTL is at least a second, so that no token has expired when it is
// issued, and at most that of the refresh token beside it: the client's policy decides how long a login lasts, not its caller, and
// a key that has signed a token must be kept until the token expires.
func readLegacyParameters(session *Session, req fosite.AccessRequester, now time.Time) error {
	if text := req.GetRequestForm().Get("expires_in"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) { // out of range it is the nearest number
			return invalidRequest("The parameter expires_in is not a number of seconds.")
		}
		session.AccessExpires = now.Unix() + max(1, min(seconds, session.RefreshExpires-now.Unix()))
	}
	session.Role = req.GetRequestForm().Get("role")
	return nil
}

// loadClaims reads what tokens say about the subject. It is done for every token, so that a right that was taken away is
// not in the next one, and a subject that was removed gets none.
func (s *Server) loadClaims(ctx context.Context, session *Session) error {
	if session.Subject == "" || s.config.Users == nil {
		return nil
	}
	claims, err := s.config.Users.Claims(ctx, session.Subject)
	if isNotFound(err) {
		return fosite.ErrInvalidGrant.WithWrap(err)
	}
	session.claims = claims
	return err
}

// storeSession makes the tokens of a new session and stores it. A refresh token is issued if the grant has one and the
// client may use it.
func (s *Server) storeSession(ctx context.Context, req fosite.AccessRequester, refresh bool) (issuedTokens, error) {
	session, err := sessionFrom(req)
	if err != nil {
		return issuedTokens{}, err
	}
	refresh = refresh && req.GetClient().GetGrantTypes().Has(policy.GrantRefreshToken)
	tokens, err := s.mintTokens(ctx, req, session, refresh)
	if err != nil {
		return tokens, err
	}
	record := withoutForm(req)
	if err := s.config.Storage.CreateAccessTokenSession(ctx, tokens.accessSignature, record); err != nil {
		return tokens, err
	}
	if refresh {
		err = s.config.Storage.CreateRefreshTokenSession(ctx, tokens.refreshSignature, tokens.accessSignature, record)
	}
	return tokens, err
}

// withoutForm returns the request as it is stored: without the form, which has secrets.
func withoutForm(req fosite.Requester) fosite.Requester {
	r := req.Sanitize(nil)
	clear(r.GetRequestForm())
	return r
}
