package authserver

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
)

// assertionType is the client_assertion_type of private_key_jwt (RFC 7523 section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// authenticateByAssertion is private_key_jwt (RFC 7523 sections 2.2 and 3): a JWT for this server that the client signed
// with a registered key and that is valid once.
func (s *Server) authenticateByAssertion(ctx context.Context, c credentials) (fosite.Client, error) {
	if c.assertionType != assertionType || c.assertion == "" {
		return nil, invalidRequest("The client_assertion or its client_assertion_type is missing or not supported.")
	}
	id, err := assertionIssuer(c.assertion)
	if err != nil {
		return nil, invalidClient(err)
	}
	if c.id != "" && c.id != id {
		return nil, invalidClient(errAssertionNotOwn)
	}
	client, err := s.client(ctx, id)
	if err != nil {
		return nil, err
	}
	claims, err := s.verifyAssertion(client, c.assertion)
	if err != nil {
		return nil, invalidClient(err)
	}
	if err := s.useOnce(ctx, client.GetID(), c.assertion, claims); err != nil {
		return nil, err
	}
	return client, nil
}

var (
	errAssertionMalformed = errors.New("malformed assertion")
	errAssertionNotOwn    = errors.New("assertion is not the client's own")
)

// assertionIssuer returns the client that an assertion names as both issuer and subject. The signature is not verified yet:
// the client's keys are needed for that.
func assertionIssuer(assertion string) (string, error) {
	if !tokenCharacters(assertion) {
		return "", errAssertionMalformed
	}
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(assertion, &claims); err != nil {
		return "", errAssertionMalformed
	}
	if claims.Issuer == "" || claims.Issuer != claims.Subject {
		return "", errAssertionNotOwn
	}
	return claims.Issuer, nil
}

// verifyAssertion checks signature, audience and times of a JWT that a client signed (RFC 7523 section 3).
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
		jwt.WithValidMethods(policy.AssertionAlgorithms()), jwt.WithStrictDecoding(),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(clockSkew), jwt.WithTimeFunc(s.config.Now))
	_, err := parser.ParseWithClaims(assertion, &claims, func(t *jwt.Token) (any, error) { return assertionKeys(set, t) })
	if err != nil {
		return nil, err
	}
	if !s.acceptsAudience(claims.Audience) {
		return nil, errors.New("the assertion is for another audience")
	}
	// RFC 7523 section 3, items 4 and 6: the server may refuse an assertion that expires too far ahead or is too old. The
	// client's clock may be ahead or behind by the leeway.
	bound := s.config.Assertions.MaxTTL + clockSkew
	if claims.ExpiresAt.After(s.config.Now().Add(bound)) {
		return nil, errors.New("the assertion expires too far ahead")
	}
	if claims.IssuedAt != nil && claims.IssuedAt.Before(s.config.Now().Add(-bound)) {
		return nil, errors.New("the assertion was issued too long ago")
	}
	return &claims, nil
}

// acceptsAudience tells whether an assertion is for this server (RFC 7523 section 3, item 3).
func (s *Server) acceptsAudience(audience jwt.ClaimStrings) bool {
	if s.config.Assertions.Audience == policy.AudienceIssuer {
		return len(audience) == 1 && audience[0] == s.config.Issuer
	}
	return slices.Contains(audience, s.config.Issuer) || slices.Contains(audience, s.config.Issuer+pathToken)
}

// assertionKeys returns the keys of the client that may have signed the assertion. The key says which algorithm it is for,
// not the assertion (RFC 8725 section 3.1).
func assertionKeys(set jose.JSONWebKeySet, t *jwt.Token) (jwt.VerificationKeySet, error) {
	var candidates jwt.VerificationKeySet
	if _, ok := t.Header["crit"]; ok {
		return candidates, errors.New("critical headers are not supported")
	}
	kid, _ := t.Header["kid"].(string)
	for _, k := range set.Keys {
		if k.IsPublic() && keyIsFor(k, t.Method.Alg()) && (kid == "" || kid == k.KeyID) {
			candidates.Keys = append(candidates.Keys, k.Key)
		}
	}
	if len(candidates.Keys) == 0 {
		return candidates, errors.New("the client has no such key")
	}
	return candidates, nil
}

// keyIsFor tells whether a key is for the algorithm. An RSA key that names none is for both of its algorithms.
func keyIsFor(k jose.JSONWebKey, algorithm string) bool {
	own, err := keys.AlgorithmOf(k.Key)
	if err != nil || k.Algorithm != "" && k.Algorithm != algorithm {
		return false
	}
	return own == algorithm || own == policy.RS256 && algorithm == policy.PS256
}

// useOnce marks an assertion as used and refuses one that was used before. IDs are stored per client, because two clients
// may choose the same one.
func (s *Server) useOnce(ctx context.Context, client, assertion string, claims *jwt.RegisteredClaims) error {
	err := s.config.Storage.SetClientAssertionJWT(ctx, client+"\x00"+assertionID(assertion, claims), claims.ExpiresAt.Add(clockSkew))
	if errors.Is(err, fosite.ErrJTIKnown) {
		return invalidClient(err)
	}
	return err
}

// assertionID names an assertion in the store: by its jti, which is optional (RFC 7523 section 3, item 7), or by a hash of
// what the client signed. The signature is left out, because an ES256 signature has a second valid form that anyone can
// compute. Header and claims have one spelling: the decoder is strict, and the signature covers their encoded form.
func assertionID(assertion string, claims *jwt.RegisteredClaims) string {
	if claims.ID != "" {
		return claims.ID
	}
	signed := assertion[:strings.LastIndexByte(assertion, '.')]
	sum := sha256.Sum256([]byte(signed))
	return "sha256:" + base64.RawURLEncoding.EncodeToString(sum[:])
}
