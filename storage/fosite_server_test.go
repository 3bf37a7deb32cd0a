package storage_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"golang.org/x/oauth2"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// stockServer is a server of stock fosite, with every handler that it has, whose store is ours or composed of our parts.
type stockServer struct {
	t        *testing.T
	redis    *storagetest.Instance
	store    *storage.Store // to prepare what is stored
	provider fosite.OAuth2Provider
	issuer   ed25519.PrivateKey
}

const (
	stockSecret  = "k3Qp-98xZ-77ab-Lm21"
	stockURL     = "http://localhost/token"
	verifiableVC = "userinfo_credential_draft_00"
)

// stockServers calls test for the whole store and for its parts, on both kinds of Redis.
func stockServers(t *testing.T, test func(t *testing.T, s *stockServer)) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		for name, compositor := range map[string]func(s *storage.Store) any{
			"store": func(s *storage.Store) any { return s },
			"parts": func(s *storage.Store) any {
				return struct {
					*storage.Clients
					*storage.Tokens
					*storage.Issuers
					directory
				}{s.Clients, s.Tokens, s.Issuers, directory{"alice": "wonderland"}}
			},
		} {
			t.Run(name, func(t *testing.T) {
				if err := r.Client(t).FlushAll(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
				test(t, newStockServer(t, r, compositor))
			})
		}
	})
}

// stockKey signs ID tokens.
var stockKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })

func newStockServer(t *testing.T, r *storagetest.Instance, compositor func(*storage.Store) any) *stockServer {
	t.Helper()
	s := &stockServer{t: t, redis: r, store: must(storage.New(r.Client(t), storage.Options{Password: cheap, Timeout: 30 * time.Second}))}
	hash := must(storage.ClientSecretsHasher{}.Hash(t.Context(), []byte(stockSecret)))
	check(s.store.PutClient(t.Context(), &storage.Client{
		ID: "app", Secrets: []string{string(hash)}, RedirectURIs: []string{"http://localhost/done"}, Introspect: true,
		Scopes: []string{"openid", "offline", "read", verifiableVC}, Audience: []string{"https://api.example"},
		Grants: []string{
			"authorization_code", "implicit", "refresh_token", "password", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer",
		},
		ResponseTypes: []string{"code", "token", "id_token", "id_token token", "code id_token", "code token", "code id_token token"},
	}))
	check(s.store.Users.AddUser(t.Context(), storage.User{Name: "alice", Active: true}, "wonderland"))
	public, private, err := ed25519.GenerateKey(nil)
	check(err)
	s.issuer = private
	check(s.store.PutIssuerKey(t.Context(), storage.IssuerKey{
		Issuer: "issuer", Subject: "alice", Scopes: []string{"read"}, Key: jose.JSONWebKey{Key: public, KeyID: "one"},
	}))
	config := &fosite.Config{
		GlobalSecret: []byte("thirty-two bytes of secret, here"), ClientSecretsHasher: storage.ClientSecretsHasher{},
		TokenURL: stockURL, GrantTypeJWTBearerCanSkipClientAuth: true, ScopeStrategy: fosite.ExactScopeStrategy,
		AudienceMatchingStrategy: fosite.DefaultAudienceMatchingStrategy,
	}
	s.provider = compose.ComposeAllEnabled(config, compositor(s.store), stockKey())
	config.TokenEndpointHandlers.Append(
		compose.OIDCUserinfoVerifiableCredentialFactory(config, compositor(s.store), nil).(fosite.TokenEndpointHandler))
	return s
}

// authorize sends alice's authorization request and returns what comes back in query or fragment.
func (s *stockServer) authorize(form url.Values) url.Values {
	s.t.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/auth?"+form.Encode(), nil)
	request, err := s.provider.NewAuthorizeRequest(s.t.Context(), r)
	if err == nil {
		for _, scope := range request.GetRequestedScopes() {
			request.GrantScope(scope)
		}
		for _, audience := range request.GetRequestedAudience() {
			request.GrantAudience(audience)
		}
		var response fosite.AuthorizeResponder
		if response, err = s.provider.NewAuthorizeResponse(s.t.Context(), request, session("alice")); err == nil {
			s.provider.WriteAuthorizeResponse(s.t.Context(), w, request, response)
		}
	}
	if err != nil {
		s.provider.WriteAuthorizeError(s.t.Context(), w, request, err)
	}
	if w.Header().Get("Location") == "" { // form_post
		return url.Values{"body": {w.Body.String()}}
	}
	to := must(url.Parse(w.Header().Get("Location")))
	if to.Fragment != "" {
		return must(url.ParseQuery(to.Fragment))
	}
	return to.Query()
}

// request is an authorization request of the client.
func (s *stockServer) request(responseType, scope string, more ...string) url.Values {
	form := url.Values{
		"client_id": {"app"}, "response_type": {responseType}, "scope": {scope}, "redirect_uri": {"http://localhost/done"},
		"state": {"a long state"}, "nonce": {"a long nonce"}, "audience": {"https://api.example"},
	}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

// post makes a request of the client to an endpoint. secret is left out if it is empty.
func (s *stockServer) post(path, secret string, form url.Values) (status int, answer map[string]any) {
	s.t.Helper()
	ctx := s.t.Context()
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if secret != "" {
		r.SetBasicAuth("app", secret)
	}
	switch path {
	case "/par":
		request, err := s.provider.NewPushedAuthorizeRequest(ctx, r)
		check(err)
		response, err := s.provider.NewPushedAuthorizeResponse(ctx, request, session(""))
		check(err)
		s.provider.WritePushedAuthorizeResponse(ctx, w, request, response)
	case "/token":
		s.token(ctx, w, r)
	case "/introspect":
		answer, err := s.provider.NewIntrospectionRequest(ctx, r, session(""))
		if err != nil {
			s.provider.WriteIntrospectionError(ctx, w, err)
			break
		}
		s.provider.WriteIntrospectionResponse(ctx, w, answer)
	case "/revoke":
		s.provider.WriteRevocationResponse(ctx, w, s.provider.NewRevocationRequest(ctx, r))
	}
	_ = json.NewDecoder(w.Body).Decode(&answer)
	return w.Code, answer
}

func (s *stockServer) token(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	request, err := s.provider.NewAccessRequest(ctx, r, session(""))
	var response fosite.AccessResponder
	if err == nil {
		for _, scope := range request.GetRequestedScopes() {
			request.GrantScope(scope)
		}
		response, err = s.provider.NewAccessResponse(ctx, request)
	}
	if err != nil {
		s.provider.WriteAccessError(ctx, w, request, err)
		return
	}
	s.provider.WriteAccessResponse(ctx, w, request, response)
}

// exchange redeems a code.
func (s *stockServer) exchange(code, verifier string) (status int, answer map[string]any) {
	s.t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://localhost/done"}}
	if verifier != "" {
		form.Set("code_verifier", verifier)
	}
	return s.post("/token", stockSecret, form)
}

// active tells whether a token is valid.
func (s *stockServer) active(token any) bool {
	s.t.Helper()
	text, _ := token.(string)
	_, answer := s.post("/introspect", stockSecret, url.Values{"token": {text}})
	active, _ := answer["active"].(bool)
	return active
}

// assertion is one of the issuer about alice.
func (s *stockServer) assertion(jti, kid string) string {
	options := (&jose.SignerOptions{}).WithType("JWT")
	if kid != "" {
		options = options.WithHeader("kid", kid)
	}
	signer := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: s.issuer}, options))
	claims := must(json.Marshal(map[string]any{
		"iss": "issuer", "sub": "alice", "aud": stockURL, "jti": jti, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	}))
	return must(must(signer.Sign(claims)).CompactSerialize())
}

// challenge returns a verifier and what an authorization request has for it.
func challenge() (verifier string, parameters []string) {
	verifier = oauth2.GenerateVerifier()
	return verifier, []string{"code_challenge", oauth2.S256ChallengeFromVerifier(verifier), "code_challenge_method", "S256"}
}
