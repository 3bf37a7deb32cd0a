package fositehttp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/alicebob/miniredis/v2"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/fositehttp"
)

// A server of fosite's own handlers on the store: the token, introspection and revocation endpoints.
func Example() {
	fake, err := miniredis.Run() // your Redis
	if err != nil {
		panic(err)
	}
	store, err := storage.New(storage.Connect(redis.UniversalOptions{Addrs: []string{fake.Addr()}}), storage.Options{})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	hash, err := storage.ClientSecretsHasher{}.Hash(ctx, []byte("the secret of app"))
	if err != nil {
		panic(err)
	}
	grants := []string{"password", "refresh_token"}
	client := &storage.Client{ID: "app", Secrets: []string{string(hash)}, Grants: grants, Refresh: "strict"}
	if err := store.PutClient(ctx, client); err != nil {
		panic(err)
	}
	if err := store.Users.AddUser(ctx, storage.User{Name: "alice", Active: true}, "down the rabbit hole"); err != nil {
		panic(err)
	}

	config := &fosite.Config{
		GlobalSecret: []byte("thirty-two bytes of secret, here"), RefreshTokenScopes: []string{},
		ClientSecretsHasher: storage.ClientSecretsHasher{},
		// fosite fills these in at their first use, which is a data race.
		ScopeStrategy: fosite.ExactScopeStrategy, AudienceMatchingStrategy: fosite.DefaultAudienceMatchingStrategy,
		JWKSFetcherStrategy: fosite.NewDefaultJWKSFetcherStrategy(),
	}
	provider := compose.Compose(config, store, compose.NewOAuth2HMACStrategy(config),
		compose.OAuth2ResourceOwnerPasswordCredentialsFactory, compose.OAuth2RefreshTokenGrantFactory,
		compose.OAuth2TokenIntrospectionFactory, compose.OAuth2TokenRevocationFactory)

	mux := http.NewServeMux()
	mux.HandleFunc("/token", func(rw http.ResponseWriter, r *http.Request) {
		ctx := fositehttp.Watch(r.Context())
		request, err := provider.NewAccessRequest(ctx, r, &fosite.DefaultSession{})
		if err != nil {
			fositehttp.WriteAccessError(ctx, provider, rw, request, err)
			return
		}
		response, err := provider.NewAccessResponse(ctx, request)
		if err != nil {
			fositehttp.WriteAccessError(ctx, provider, rw, request, err)
			return
		}
		provider.WriteAccessResponse(ctx, rw, request, response)
	})
	mux.HandleFunc("/introspect", func(rw http.ResponseWriter, r *http.Request) {
		ctx := fositehttp.Watch(r.Context())
		response, err := provider.NewIntrospectionRequest(ctx, r, &fosite.DefaultSession{})
		if err != nil {
			fositehttp.WriteIntrospectionError(ctx, provider, rw, err)
			return
		}
		provider.WriteIntrospectionResponse(ctx, rw, response)
	})
	mux.HandleFunc("/revoke", func(rw http.ResponseWriter, r *http.Request) {
		ctx := fositehttp.Watch(r.Context())
		fositehttp.WriteRevocationResponse(ctx, provider, rw, provider.NewRevocationRequest(ctx, r))
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	login := send(server.URL+"/token", "grant_type", "password", "username", "alice", "password", "down the rabbit hole")
	refreshed := send(server.URL+"/token", "grant_type", "refresh_token", "refresh_token", login["refresh_token"].(string))
	send(server.URL+"/introspect", "token", refreshed["access_token"].(string))
	send(server.URL+"/revoke", "token", refreshed["refresh_token"].(string))
	send(server.URL+"/introspect", "token", refreshed["access_token"].(string))
	fake.Close()
	send(server.URL+"/introspect", "token", refreshed["access_token"].(string))
	send(server.URL+"/revoke", "token", refreshed["refresh_token"].(string))
	// Output:
	// /token 200
	// /token 200
	// /introspect 200 active true
	// /revoke 200
	// /introspect 200 active false
	// /introspect 503 temporarily_unavailable, to be sent again later
	// /revoke 503 temporarily_unavailable, to be sent again later
}

// send posts a form of names and values as the client "app", and prints the answer.
func send(to string, form ...string) map[string]any {
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	target, _ := url.Parse(to)
	target.User = url.UserPassword("app", url.QueryEscape("the secret of app"))
	resp, err := http.PostForm(target.String(), values)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	var body map[string]any
	_ = json.NewDecoder(resp.Body).Decode(&body) // a revocation has no body
	fmt.Print(target.Path, " ", resp.StatusCode)
	if active, ok := body["active"]; ok {
		fmt.Print(" active ", active)
	}
	if resp.Header.Get("Retry-After") != "" {
		fmt.Print(" ", body["error"], ", to be sent again later")
	}
	fmt.Println()
	return body
}
