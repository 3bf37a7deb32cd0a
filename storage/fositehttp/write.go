package fositehttp

import (
	"context"
	"net/http"

	"github.com/ory/fosite"
)

// WriteAccessError answers a token request that failed (RFC 6749 section 5.2), in place of fosite's WriteAccessError. err is that
// of NewAccessRequest or NewAccessResponse. Besides unavailability it tells refusals from errors of the server: see the table of
// the package.
func WriteAccessError(ctx context.Context, p fosite.OAuth2Provider, rw http.ResponseWriter, req fosite.AccessRequester, err error) {
	if Unavailable(ctx, err) {
		setSpreadRetryAfter(rw)
		p.WriteAccessError(ctx, rw, req, fosite.ErrTemporarilyUnavailable)
		return
	}
	if refused := refusal(err); refused != nil {
		if refused.wait > 0 {
			setRetryAfter(rw, refused.wait)
		}
		err = refused.answer
	}
	p.WriteAccessError(ctx, rw, req, err)
}

// WriteIntrospectionError answers an introspection that failed (RFC 7662 section 2.3), in place of fosite's WriteIntrospectionError.
// err is that of NewIntrospectionRequest. A nil error writes nothing.
func WriteIntrospectionError(ctx context.Context, p fosite.OAuth2Provider, rw http.ResponseWriter, err error) {
	if Unavailable(ctx, err) {
		writeUnavailable(ctx, p, rw)
		return
	}
	p.WriteIntrospectionError(ctx, rw, err)
}

// WriteRevocationResponse answers a revocation, in place of fosite's WriteRevocationResponse. err is that of NewRevocationRequest,
// nil included. To a client a 503 means that the token still exists (RFC 7009 section 2.2.1).
func WriteRevocationResponse(ctx context.Context, p fosite.OAuth2Provider, rw http.ResponseWriter, err error) {
	if Unavailable(ctx, err) {
		writeUnavailable(ctx, p, rw)
		return
	}
	p.WriteRevocationResponse(ctx, rw, err)
}

// WritePushedAuthorizeError answers a pushed authorization request that failed (RFC 9126 section 2.3), in place of fosite's
// WritePushedAuthorizeError. err is that of NewPushedAuthorizeRequest or NewPushedAuthorizeResponse.
func WritePushedAuthorizeError(ctx context.Context, p fosite.OAuth2Provider, rw http.ResponseWriter, ar fosite.AuthorizeRequester, err error) {
	if Unavailable(ctx, err) {
		setSpreadRetryAfter(rw)
		err = fosite.ErrTemporarilyUnavailable
	}
	p.WritePushedAuthorizeError(ctx, rw, ar, err)
}

// WriteAuthorizeError answers an authorization request that failed, in place of fosite's WriteAuthorizeError. err is that of
// NewAuthorizeRequest or NewAuthorizeResponse.
//
// When the store was unavailable and the redirect URI is one of the client's, the browser is sent back to the client with
// temporarily_unavailable, in the response mode of the request: RFC 6749 section 4.1.2.1 has that code because a redirect cannot be
// a 503, and only the client can tell its user and start again, with its state. There is no Retry-After then, because it would ask
// the browser to wait before it follows the redirect (RFC 9110 section 10.2.3). When the redirect URI was not checked, since the
// client could not be read, nothing may be redirected, and the answer is a 503.
func WriteAuthorizeError(ctx context.Context, p fosite.OAuth2Provider, rw http.ResponseWriter, ar fosite.AuthorizeRequester, err error) {
	if !Unavailable(ctx, err) {
		p.WriteAuthorizeError(ctx, rw, ar, err)
		return
	}
	if ar == nil || !ar.IsRedirectURIValid() {
		writeUnavailable(ctx, p, rw)
		return
	}
	p.WriteAuthorizeError(ctx, rw, ar, fosite.ErrTemporarilyUnavailable)
}

// writeUnavailable writes a 503 where fosite's own writer cannot. That of token requests has the format that all endpoints share.
func writeUnavailable(ctx context.Context, p fosite.OAuth2Provider, rw http.ResponseWriter) {
	setSpreadRetryAfter(rw)
	p.WriteAccessError(ctx, rw, nil, fosite.ErrTemporarilyUnavailable)
}
