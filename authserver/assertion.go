package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// maxAssertionLife bounds how far ahead an assertion may expire, and with it how long its ID is remembered.
const maxAssertionLife = time.Hour

// authenticateByKey is private_key_jwt (RFC 7523 sections 2.2 and 3): a JWT signed with a key that the client registered,
// for this server, and good once.
func (s *Server) authenticateByKey(ctx context.Context, p presentedClient, form url.Values) (fosite.Client, error) {
	if form.Get("client_assertion_type") != assertionType || p.assertion == "" {
		return nil, invalidRequest("The client_assertion or its client_assertion_type is missing or not supported.")
	}
	if !tokenCharacters(p.assertion) {
		return nil, invalidClient(errors.New("malformed assertion"))
	}
	var unverified jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(p.assertion, &unverified); err != nil {
		return nil, invalidClient(errors.New("malformed assertion"))
	}
	if unverified.Issuer != unverified.Subject || p.id != "" && p.id != unverified.Subject || unverified.Subject == "" {
		return nil, invalidClient(errors.New("assertion is not the client's own"))
	}
	client, err := s.client(ctx, unverified.Subject)
	if err != nil {
		return nil, err
	}
	claims, err := s.verifyAssertion(client, p.assertion)
	if err != nil {
		return nil, invalidClient(err)
	}
	if err := s.useOnce(ctx, client.GetID(), claims); err != nil {
		return nil, err
	}
	return client, nil
}

// verifyAssertion checks signature, audience and times of a JWT that a client signed.
func (s *Server) verifyAssertion(client Client, assertion string) (*jwt.RegisteredClaims, error) {
	registered := client.Policy().KeySet
	if len(registered) == 0 {
		return nil, errors.New("the client has no keys")
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(registered, &set); err != nil {
		return nil, fmt.Errorf("the client's keys cannot be read: %w", err)
	}
	var claims jwt.RegisteredClaims
	parser := jwt.NewParser(
		jwt.WithValidMethods(policy.Algorithms()), jwt.WithStrictDecoding(),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(clockSkew), jwt.WithTimeFunc(s.config.Now))
	_, err := parser.ParseWithClaims(assertion, &claims, func(t *jwt.Token) (any, error) {
		if _, ok := t.Header["crit"]; ok {
			return nil, errors.New("critical headers are not supported")
		}
		kid, _ := t.Header["kid"].(string)
		var candidates jwt.VerificationKeySet
		for _, k := range set.Keys {
			algorithm, err := keys.AlgorithmOf(k.Key)
			if err == nil && k.IsPublic() && algorithm == t.Method.Alg() && (kid == "" || kid == k.KeyID) {
				candidates.Keys = append(candidates.Keys, k.Key)
			}
		}
		if len(candidates.Keys) == 0 {
			return nil, errors.New("no key of the client fits")
		}
		return candidates, nil
	})
	if err != nil {
		return nil, err
	}
	if !slices.Contains(claims.Audience, s.config.Issuer) && !slices.Contains(claims.Audience, s.config.Issuer+pathToken) {
		return nil, errors.New("the assertion is for another audience")
	}
	if claims.ExpiresAt.After(s.config.Now().Add(maxAssertionLife)) {
		return nil, errors.New("the assertion lives too long")
	}
	if claims.ID == "" {
		return nil, errors.New("the assertion has no jti")
	}
	return &claims, nil
}

// useOnce marks an assertion as used; one that was used before is refused. The ID is the client's: two clients may choose
// the same one.
func (s *Server) useOnce(ctx context.Context, client string, claims *jwt.RegisteredClaims) error {
	err := s.config.Storage.SetClientAssertionJWT(ctx, client+"\x00"+claims.ID, claims.ExpiresAt.Add(clockSkew))
	if errors.Is(err, fosite.ErrJTIKnown) {
		return invalidClient(err)
	}
	return err
}
