package fositehttp_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	fositestorage "github.com/ory/fosite/storage"
	"github.com/redis/go-redis/v9"
	"golang.org/x/crypto/bcrypt"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/fositehttp"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestMain(m *testing.M) { os.Exit(storagetest.Main(m)) }

const secret = "the secret of the client"

var hashed = func() string {
	hash, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(hash)
}()

func fositeConfig() *fosite.Config {
	return &fosite.Config{
		GlobalSecret: []byte("thirty-two bytes of secret, here"), RefreshTokenScopes: []string{},
		AccessTokenLifespan: time.Hour, RefreshTokenLifespan: time.Hour, TokenURL: "https://as.example.com/token",
	}
}

// newProvider is a fosite server with the handlers that stock ones are made of.
func newProvider(config *fosite.Config, store any, more ...compose.Factory) fosite.OAuth2Provider {
	return compose.Compose(config, store, compose.NewOAuth2HMACStrategy(config), append([]compose.Factory{
		compose.OAuth2ResourceOwnerPasswordCredentialsFactory, compose.OAuth2RefreshTokenGrantFactory,
		compose.OAuth2ClientCredentialsGrantFactory, compose.OAuth2TokenIntrospectionFactory, compose.OAuth2TokenRevocationFactory,
	}, more...)...)
}

// endpoints are the endpoints of a server. With helped they use package fositehttp, otherwise the writers of fosite.
func endpoints(p fosite.OAuth2Provider, helped bool) http.Handler {
	mux := http.NewServeMux()
	handle := func(path string, f func(ctx context.Context, rw http.ResponseWriter, r *http.Request)) {
		mux.HandleFunc(path, func(rw http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			if helped {
				ctx = fositehttp.Watch(ctx)
			}
			f(ctx, rw, r)
		})
	}
	handle("/token", func(ctx context.Context, rw http.ResponseWriter, r *http.Request) {
		var resp fosite.AccessResponder
		req, err := p.NewAccessRequest(ctx, r, &fosite.DefaultSession{})
		if err == nil {
			resp, err = p.NewAccessResponse(ctx, req)
		}
		switch {
		case err == nil:
			p.WriteAccessResponse(ctx, rw, req, resp)
		case helped:
			fositehttp.WriteAccessError(ctx, p, rw, req, err)
		default:
			p.WriteAccessError(ctx, rw, req, err)
		}
	})
	handle("/introspect", func(ctx context.Context, rw http.ResponseWriter, r *http.Request) {
		resp, err := p.NewIntrospectionRequest(ctx, r, &fosite.DefaultSession{})
		switch {
		case err == nil:
			p.WriteIntrospectionResponse(ctx, rw, resp)
		case helped:
			fositehttp.WriteIntrospectionError(ctx, p, rw, err)
		default:
			p.WriteIntrospectionError(ctx, rw, err)
		}
	})
	handle("/revoke", func(ctx context.Context, rw http.ResponseWriter, r *http.Request) {
		err := p.NewRevocationRequest(ctx, r)
		if helped {
			fositehttp.WriteRevocationResponse(ctx, p, rw, err)
		} else {
			p.WriteRevocationResponse(ctx, rw, err)
		}
	})
	handle("/authorize", func(ctx context.Context, rw http.ResponseWriter, r *http.Request) {
		var resp fosite.AuthorizeResponder
		req, err := p.NewAuthorizeRequest(ctx, r)
		if err == nil {
			resp, err = p.NewAuthorizeResponse(ctx, req, &fosite.DefaultSession{Subject: "alice"})
		}
		switch {
		case err == nil:
			p.WriteAuthorizeResponse(ctx, rw, req, resp)
		case helped:
			fositehttp.WriteAuthorizeError(ctx, p, rw, req, err)
		default:
			p.WriteAuthorizeError(ctx, rw, req, err)
		}
	})
	handle("/par", func(ctx context.Context, rw http.ResponseWriter, r *http.Request) {
		var resp fosite.PushedAuthorizeResponder
		req, err := p.NewPushedAuthorizeRequest(ctx, r)
		if err == nil {
			resp, err = p.NewPushedAuthorizeResponse(ctx, req, &fosite.DefaultSession{})
		}
		switch {
		case err == nil:
			p.WritePushedAuthorizeResponse(ctx, rw, req, resp)
		case helped:
			fositehttp.WritePushedAuthorizeError(ctx, p, rw, req, err)
		default:
			p.WritePushedAuthorizeError(ctx, rw, req, err)
		}
	})
	return mux
}

// answer is what a client sees.
type answer struct {
	Status int
	Error  string // of the body or, for a redirect, of its query
	Active bool
	header http.Header
	body   string
	fields map[string]any
}

func (a answer) text(name string) string { text, _ := a.fields[name].(string); return text }

// call sends a request. as is "basic", "bearer TOKEN" or empty.
func call(h http.Handler, method, path, as string, form url.Values) answer {
	var r *http.Request
	if method == http.MethodPost {
		r = httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		r = httptest.NewRequest(method, path+"?"+form.Encode(), nil)
	}
	if token, ok := strings.CutPrefix(as, "bearer "); ok {
		r.Header.Set("Authorization", "Bearer "+token)
	} else if as == "basic" {
		r.SetBasicAuth("app", url.QueryEscape(secret))
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	a := answer{Status: rec.Code, header: rec.Result().Header, body: rec.Body.String()}
	_ = json.Unmarshal([]byte(a.body), &a.fields) // an empty body has no fields
	a.Error = a.text("error")
	a.Active, _ = a.fields["active"].(bool)
	if to, err := url.Parse(a.header.Get("Location")); err == nil && to.Host != "" {
		a.Error = to.Query().Get("error")
	}
	return a
}

func post(h http.Handler, path, as string, form url.Values) answer {
	return call(h, http.MethodPost, path, as, form)
}

// checkUnavailable checks all of the 503, which tells nothing of the cause.
func checkUnavailable(t *testing.T, a answer) {
	t.Helper()
	if a.Status != http.StatusServiceUnavailable || a.Error != "temporarily_unavailable" {
		t.Errorf("answer %d %s, want 503 temporarily_unavailable", a.Status, a.body)
	}
	if wait := a.header.Get("Retry-After"); wait < "1" || wait > "3" || len(wait) != 1 {
		t.Errorf("Retry-After %q, want 1 to 3", wait)
	}
	if a.text("error_description") != fosite.ErrTemporarilyUnavailable.DescriptionField || len(a.fields) != 2 {
		t.Errorf("body %s has more than the error and its description", a.body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json;charset=UTF-8", "Cache-Control": "no-store", "Pragma": "no-cache", "WWW-Authenticate": "",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// newStore returns a store on the server with the client "app" and the user alice.
func newStore(t *testing.T, server *storagetest.Server) *storage.Store {
	t.Helper()
	store := openStore(t, server, storage.Options{})
	app := &storage.Client{
		ID: "app", Secrets: []string{hashed}, Grants: []string{"password", "refresh_token", "client_credentials"}, Scopes: []string{"read"},
	}
	if err := store.PutClient(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	if err := store.Users.AddUser(t.Context(), storage.User{Name: "alice", Active: true}, "wonderland"); err != nil {
		t.Fatal(err)
	}
	return store
}

func openStore(t *testing.T, server *storagetest.Server, o storage.Options) *storage.Store {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = hang
	}
	o.Password = policy.PasswordCosts{InsecureCheap: true, MemoryKiB: 64, Iterations: 1, Parallelism: 1}
	store, err := storage.New(connect(t, server), o)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// hang is a time-out that exists to fail a test that hangs, on a machine that is busy.
const hang = 30 * time.Second

func connect(t *testing.T, server *storagetest.Server) redis.UniversalClient {
	t.Helper()
	rdb := storage.Connect(redis.UniversalOptions{Addrs: []string{server.Addr}, DialTimeout: hang, ReadTimeout: hang, PoolTimeout: hang})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// newMemory returns fosite's store in memory, with the client "app" that may use codes.
func newMemory() *fositestorage.MemoryStore {
	memory := fositestorage.NewMemoryStore()
	memory.Clients["app"] = &fosite.DefaultClient{
		ID: "app", Secret: []byte(hashed), RedirectURIs: []string{callback}, Scopes: []string{"read"}, ResponseTypes: []string{"code"},
		GrantTypes: []string{"authorization_code", "refresh_token", "password"},
	}
	return memory
}

const callback = "https://app.example.org/back"

// parts is a store that is made of parts, as the program of a fosite server makes it. What the first three have is theirs.
type parts struct {
	fosite.ClientManager
	oauth2.AuthorizeCodeStorage
	fosite.PARStorage
	tokens
}

type tokens struct{ *storage.Tokens }

// Authenticate knows no user.
func (parts) Authenticate(context.Context, string, string) (string, error) {
	return "", fosite.ErrNotFound
}

var passwordGrant = url.Values{"grant_type": {"password"}, "username": {"alice"}, "password": {"wonderland"}}

func refreshGrant(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
}
