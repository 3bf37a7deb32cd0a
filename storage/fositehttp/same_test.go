package fositehttp_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/fositehttp"
)

// fositeErrors are the errors of fosite, but for storeErrors, and some that are not fosite's.
var fositeErrors = []error{
	fosite.ErrUnknownRequest, fosite.ErrRequestForbidden, fosite.ErrInvalidRequest, fosite.ErrUnauthorizedClient,
	fosite.ErrAccessDenied, fosite.ErrUnsupportedResponseType, fosite.ErrUnsupportedResponseMode, fosite.ErrInvalidScope,
	fosite.ErrServerError, fosite.ErrUnsupportedGrantType, fosite.ErrInvalidGrant, fosite.ErrInvalidClient, fosite.ErrInvalidState,
	fosite.ErrMisconfiguration, fosite.ErrInsufficientEntropy, fosite.ErrRequestUnauthorized, fosite.ErrTokenSignatureMismatch,
	fosite.ErrInvalidTokenFormat, fosite.ErrTokenExpired, fosite.ErrScopeNotGranted, fosite.ErrTokenClaim,
	fosite.ErrLoginRequired, fosite.ErrInteractionRequired, fosite.ErrConsentRequired, fosite.ErrRequestNotSupported,
	fosite.ErrRequestURINotSupported, fosite.ErrRegistrationNotSupported, fosite.ErrInvalidRequestURI, fosite.ErrInvalidRequestObject,
	errors.New("an error of the program"), fmt.Errorf("storage: %w", errors.New("disk full")), http.ErrNotMultipart,
}

// storeErrors are those by which a store refuses.
var storeErrors = []error{
	fosite.ErrNotFound, fosite.ErrInactiveToken, fosite.ErrJTIKnown, fosite.ErrSerializationFailure, fosite.ErrInvalidatedAuthorizeCode,
}

// wrapped returns the error as fosite wraps errors, several times.
func wrapped(err error, among []error) error {
	for range rand.IntN(5) {
		switch rand.IntN(4) {
		case 0:
			err = &url.Error{Op: "wrapped", Err: err}
		case 1:
			err = fmt.Errorf("storage: %w", err)
		case 2:
			var outer *fosite.RFC6749Error
			if errors.As(among[rand.IntN(len(among))], &outer) {
				err = outer.WithWrap(err).WithHint("A hint.").WithDebug(err.Error())
			}
		case 3:
			err = errors.Join(errors.New("one"), err)
		}
	}
	return err
}

// writers calls the writer of each endpoint: fosite's and the one of this package.
func writers(t *testing.T, p fosite.OAuth2Provider, err error) map[string][2]*httptest.ResponseRecorder {
	t.Helper()
	ctx := fositehttp.Watch(t.Context())
	all := map[string][2]*httptest.ResponseRecorder{}
	add := func(name string, stock, helped func(rw http.ResponseWriter)) {
		a, b := httptest.NewRecorder(), httptest.NewRecorder()
		stock(a)
		helped(b)
		all[name] = [2]*httptest.ResponseRecorder{a, b}
	}
	req := fosite.NewAccessRequest(&fosite.DefaultSession{})
	for name, req := range map[string]fosite.AccessRequester{"token": req, "token without a request": nil} {
		add(name, func(rw http.ResponseWriter) { p.WriteAccessError(ctx, rw, req, err) },
			func(rw http.ResponseWriter) { fositehttp.WriteAccessError(ctx, p, rw, req, err) })
	}
	add("introspection", func(rw http.ResponseWriter) { p.WriteIntrospectionError(ctx, rw, err) },
		func(rw http.ResponseWriter) { fositehttp.WriteIntrospectionError(ctx, p, rw, err) })
	add("revocation", func(rw http.ResponseWriter) { p.WriteRevocationResponse(ctx, rw, err) },
		func(rw http.ResponseWriter) { fositehttp.WriteRevocationResponse(ctx, p, rw, err) })
	for name, ar := range map[string]func() fosite.AuthorizeRequester{"": knownRedirect, " without a redirect URI": unknownRedirect} {
		add("authorization"+name, func(rw http.ResponseWriter) { p.WriteAuthorizeError(ctx, rw, ar(), err) },
			func(rw http.ResponseWriter) { fositehttp.WriteAuthorizeError(ctx, p, rw, ar(), err) })
		add("PAR"+name, func(rw http.ResponseWriter) { p.WritePushedAuthorizeError(ctx, rw, ar(), err) },
			func(rw http.ResponseWriter) { fositehttp.WritePushedAuthorizeError(ctx, p, rw, ar(), err) })
	}
	return all
}

// knownRedirect returns a request whose redirect URI was checked. fosite's writers change it.
func knownRedirect() fosite.AuthorizeRequester {
	ar := fosite.NewAuthorizeRequest()
	ar.Client, ar.State = newMemory().Clients["app"], "a state that is long"
	ar.RedirectURI, _ = url.Parse(callback)
	return ar
}

func unknownRedirect() fosite.AuthorizeRequester { return fosite.NewAuthorizeRequest() }

func configs() map[string]*fosite.Config {
	legacy, debug := fositeConfig(), fositeConfig()
	legacy.UseLegacyErrorFormat = true
	debug.SendDebugMessagesToClients = true
	return map[string]*fosite.Config{"default": fositeConfig(), "legacy": legacy, "debug": debug}
}

type written struct {
	Status int
	Header http.Header
	Body   string
}

func result(r *httptest.ResponseRecorder) written {
	return written{r.Code, r.Result().Header, r.Body.String()}
}

// Whatever is not an outage and not a refusal of the store is answered byte for byte as fosite does.
func TestOtherErrorsAreFosites(t *testing.T) {
	for name, config := range configs() {
		p := fosite.NewOAuth2Provider(newMemory(), config)
		for _, base := range fositeErrors {
			for range 40 {
				err := wrapped(base, fositeErrors)
				for endpoint, w := range writers(t, p, err) {
					if diff := cmp.Diff(result(w[0]), result(w[1])); diff != "" {
						t.Fatalf("%s, %s, %+v (-fosite +ours):\n%s", name, endpoint, err, diff)
					}
				}
			}
		}
		for _, err := range storeErrors { // of these only token requests differ
			for endpoint, w := range writers(t, p, fosite.ErrServerError.WithWrap(err)) {
				if diff := cmp.Diff(result(w[0]), result(w[1])); diff != "" && !strings.HasPrefix(endpoint, "token") {
					t.Errorf("%s, %s, %v (-fosite +ours):\n%s", name, endpoint, err, diff)
				}
			}
		}
		for endpoint, w := range writers(t, p, fosite.ErrInvalidClient.WithWrap(fosite.ErrNotFound)) {
			if diff := cmp.Diff(result(w[0]), result(w[1])); diff != "" {
				t.Errorf("%s, an unknown client, %s (-fosite +ours):\n%s", name, endpoint, diff)
			}
		}
	}
}

// An outage is found however it is wrapped, and its cause is in no answer.
func TestUnavailableHoweverWrapped(t *testing.T) {
	const cause = "dial tcp 10.20.30.40:6379: connection refused"
	down := fosite.ErrTemporarilyUnavailable.WithDebug(cause).WithHint(cause).WithWrap(errors.New(cause))
	for name, config := range configs() {
		p := fosite.NewOAuth2Provider(newMemory(), config)
		for range 300 {
			err := wrapped(down, append(storeErrors, fositeErrors...))
			for endpoint, w := range writers(t, p, err) {
				got := result(w[1])
				if redirected := endpoint == "authorization"; redirected != (got.Status == 303) || !redirected && got.Status != 503 {
					t.Fatalf("%s, %s, %+v: status %d", name, endpoint, err, got.Status)
				}
				if all := fmt.Sprint(got); strings.Contains(all, "10.20.30.40") || strings.Contains(all, "A hint") || !strings.Contains(all, "temporarily_unavailable") {
					t.Fatalf("%s, %s, %+v: %v", name, endpoint, err, got)
				}
			}
		}
	}
}

// What succeeded stays as it is, and so does what never reached the store: other methods, and a body that cannot be read.
func TestRequestsThatDoNotNeedTheStore(t *testing.T) {
	rec := httptest.NewRecorder()
	var p fosite.OAuth2Provider = fosite.NewOAuth2Provider(newMemory(), fositeConfig())
	fositehttp.WriteIntrospectionError(t.Context(), p, rec, nil)
	if rec.Body.Len() != 0 || len(rec.Header()) != 0 {
		t.Errorf("no error is written as %v %s", rec.Header(), rec.Body)
	}
	fositehttp.WriteRevocationResponse(t.Context(), p, rec, nil)
	if rec.Code != 200 || rec.Body.Len() != 0 || rec.Header().Get("Retry-After") != "" {
		t.Errorf("a revocation is answered %d %v %s", rec.Code, rec.Header(), rec.Body)
	}
	store, _ := down(t)
	p = newProvider(fositeConfig(), stockStore{Store: store})
	for _, path := range []string{"/token", "/introspect", "/revoke", "/par"} {
		for _, method := range []string{http.MethodHead, http.MethodOptions, http.MethodGet, http.MethodPost} {
			want, got := call(endpoints(p, false), method, path, "", nil), call(endpoints(p, true), method, path, "", nil)
			if diff := cmp.Diff([]any{want.Status, want.header, want.body}, []any{got.Status, got.header, got.body}); diff != "" {
				t.Errorf("%s %s (-fosite +ours):\n%s", method, path, diff)
			}
		}
	}
}
