package fositehttp_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	fositestorage "github.com/ory/fosite/storage"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/fositehttp"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// down returns parts of a store whose Redis was killed.
func down(t *testing.T) (*storage.Store, *storage.Tokens) {
	t.Helper()
	server := storagetest.StartRedis(t, storagetest.Options{})
	store := newStore(t, server)
	sessions, err := storage.NewTokens(connect(t, server), newMemory(), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server.Kill()
	return store, sessions
}

// codesDown keeps codes and pushed requests in a Redis that is down.
type codesDown struct {
	oauth2.AuthorizeCodeStorage
	fosite.PARStorage
	tokens *storage.Tokens
}

func (c codesDown) CreateAuthorizeCodeSession(ctx context.Context, code string, req fosite.Requester) error {
	return c.tokens.CreateAccessTokenSession(ctx, code, req)
}

func (c codesDown) GetPARSession(ctx context.Context, uri string) (fosite.AuthorizeRequester, error) {
	_, err := c.tokens.GetAccessTokenSession(ctx, uri, nil)
	return nil, err
}

func (c codesDown) CreatePARSession(ctx context.Context, uri string, req fosite.AuthorizeRequester) error {
	return c.tokens.CreateAccessTokenSession(ctx, uri, req)
}

// modeClient may choose the response mode.
type modeClient struct{ *fosite.DefaultClient }

func (modeClient) GetResponseModes() []fosite.ResponseModeType {
	return []fosite.ResponseModeType{fosite.ResponseModeFormPost, fosite.ResponseModeFragment, fosite.ResponseModeQuery}
}

// newCodeProvider is a server with the code grant, whose codes and pushed requests cannot be stored.
func newCodeProvider(t *testing.T) fosite.OAuth2Provider {
	_, sessions := down(t)
	memory := newMemory()
	memory.Clients["app"] = modeClient{memory.Clients["app"].(*fosite.DefaultClient)}
	codes := codesDown{memory, memory, sessions}
	return newProvider(fositeConfig(), parts{memory, codes, codes, tokens{sessions}},
		compose.OAuth2AuthorizeExplicitFactory, compose.PushedAuthorizeHandlerFactory)
}

// RFC 6749 section 4.1.2.1: once the redirect URI is known to be the client's, the client is told, in the response mode of the
// request.
func TestAuthorizeRedirectsWhenACodeCannotBeStored(t *testing.T) {
	p := newCodeProvider(t)
	redirected := func(t *testing.T, a answer, values url.Values) {
		t.Helper()
		if values.Get("error") != "temporarily_unavailable" || values.Get("state") != "a state that is long" {
			t.Errorf("%d %q %s: the client is told %v", a.Status, a.header.Get("Location"), a.body, values)
		}
		if values.Get("error_description") != fosite.ErrTemporarilyUnavailable.DescriptionField {
			t.Errorf("description %q", values.Get("error_description"))
		}
		if a.header.Get("Retry-After") != "" {
			t.Error("Retry-After holds the redirect up")
		}
	}
	if a := call(endpoints(p, false), http.MethodGet, "/authorize", "", authorization()); a.Error != "server_error" {
		t.Errorf("stock fosite answers %d %q, want server_error", a.Status, a.header.Get("Location"))
	}
	helped := endpoints(p, true)

	a := call(helped, http.MethodGet, "/authorize", "", authorization())
	to, err := url.Parse(a.header.Get("Location"))
	if a.Status != http.StatusSeeOther || err != nil || !strings.HasPrefix(to.String(), callback+"?") {
		t.Errorf("query: %d to %q", a.Status, a.header.Get("Location"))
	}
	redirected(t, a, to.Query())

	a = call(helped, http.MethodGet, "/authorize", "", authorization("response_mode", "fragment"))
	_, fragment, _ := strings.Cut(a.header.Get("Location"), "#")
	values, err := url.ParseQuery(fragment)
	if err != nil {
		t.Fatal(err)
	}
	redirected(t, a, values)

	a = call(helped, http.MethodGet, "/authorize", "", authorization("response_mode", "form_post"))
	if a.Status != http.StatusOK || !strings.Contains(a.body, `name="error" value="temporarily_unavailable"`) || !strings.Contains(a.body, callback) {
		t.Errorf("form_post: %d %s", a.Status, a.body)
	}
}

// The client or the pushed request could not be read, so that it is not known where the browser may be sent.
func TestAuthorizeWithoutARedirectURI(t *testing.T) {
	store, _ := down(t)
	p := newProvider(fositeConfig(), stockStore{Store: store})
	form := authorization("redirect_uri", callback)
	if a := call(endpoints(p, false), http.MethodGet, "/authorize", "", form); a.Status != 401 || a.Error != "invalid_client" {
		t.Errorf("stock fosite answers %d %s, want invalid_client", a.Status, a.body)
	}
	a := call(endpoints(p, true), http.MethodGet, "/authorize", "", form)
	checkUnavailable(t, a)
	if a.header.Get("Location") != "" {
		t.Errorf("redirected to %s", a.header.Get("Location"))
	}

	p = newCodeProvider(t)
	form = authorization("request_uri", "urn:ietf:params:oauth:request_uri:pushed")
	if a := call(endpoints(p, false), http.MethodGet, "/authorize", "", form); a.Status != 400 || a.Error != "invalid_request_uri" {
		t.Errorf("stock fosite answers %d %s, want invalid_request_uri", a.Status, a.body)
	}
	checkUnavailable(t, call(endpoints(p, true), http.MethodGet, "/authorize", "", form))

	rec := httptest.NewRecorder()
	fositehttp.WriteAuthorizeError(t.Context(), p, rec, nil, fosite.ErrTemporarilyUnavailable)
	if rec.Code != http.StatusServiceUnavailable {
		t.Errorf("without a request: %d", rec.Code)
	}
}

func TestPushedAuthorizationRequests(t *testing.T) {
	store, _ := down(t)
	memory := fositestorage.NewMemoryStore()
	for _, c := range []struct {
		name  string
		p     fosite.OAuth2Provider
		stock answer
	}{
		{"the request cannot be stored", newCodeProvider(t), answer{Status: 500, Error: "server_error"}},
		{
			"the client cannot be read",
			newProvider(fositeConfig(), struct {
				stockStore
				fosite.PARStorage
			}{stockStore{Store: store}, memory}, compose.PushedAuthorizeHandlerFactory),
			answer{Status: 401, Error: "invalid_client"},
		},
	} {
		form := authorization("redirect_uri", callback)
		if a := post(endpoints(c.p, false), "/par", "basic", form); a.Status != c.stock.Status || a.Error != c.stock.Error {
			t.Errorf("%s: stock fosite answers %d %s, want %d %s", c.name, a.Status, a.body, c.stock.Status, c.stock.Error)
		}
		checkUnavailable(t, post(endpoints(c.p, true), "/par", "basic", form))
	}
}
