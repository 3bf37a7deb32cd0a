package storagetest

import (
	"crypto/ecdsa"
	"fmt"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/go-jose/go-jose/v3/jwt"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/rfc7523"
)

// sign returns an assertion of issuer about assertedBy, for one hour.
func (c *check) sign(key *ecdsa.PrivateKey, keyID string) string {
	header := &jose.SignerOptions{}
	if keyID != "" {
		header = header.WithHeader("kid", keyID)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, header)
	c.must(err, "NewSigner")
	now := time.Now()
	token, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: issuer, Subject: assertedBy, Audience: jwt.Audience{tokenURL}, ID: fmt.Sprintf("%x", random(16)),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(time.Hour)),
	}).CompactSerialize()
	c.must(err, "sign")
	return token
}

// assert presents an assertion to fosite's handler.
func (c *check) assert(h *rfc7523.Handler, assertion, scope string) error {
	req := fosite.NewAccessRequest(c.NewSession())
	req.GrantTypes, req.Client = fosite.Arguments{jwtBearer}, &fosite.DefaultClient{ID: clientID, GrantTypes: []string{jwtBearer}}
	req.RequestedScope, req.Form = fosite.Arguments{scope}, url.Values{"assertion": {assertion}}
	return h.HandleTokenEndpointRequest(c.ctx, req)
}
