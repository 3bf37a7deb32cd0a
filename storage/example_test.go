package storage_test

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
)

// directory is whatever knows your users.
type directory map[string]string

func (d directory) Authenticate(_ context.Context, name, secret string) (string, error) {
	if want, ok := d[name]; ok && want == secret {
		return name, nil
	}
	return "", fosite.ErrNotFound
}

// The store alone, in a fosite server of your own with users of your own: compose the parts that fosite asks for.
func Example() {
	fake, err := miniredis.Run() // your Redis
	if err != nil {
		panic(err)
	}
	defer fake.Close()
	rdb := storage.Connect(redis.UniversalOptions{Addrs: []string{fake.Addr()}})
	store, err := storage.New(rdb, storage.Options{})
	if err != nil {
		panic(err)
	}
	provider := compose.Compose(
		&fosite.Config{GlobalSecret: []byte("thirty-two bytes of secret, here"), RefreshTokenScopes: []string{}, AccessTokenLifespan: time.Hour},
		struct {
			*storage.Clients
			*storage.Tokens
			directory
		}{store.Clients, store.Tokens, directory{"alice": "wonderland"}},
		compose.NewOAuth2HMACStrategy(&fosite.Config{GlobalSecret: []byte("thirty-two bytes of secret, here")}),
		compose.OAuth2ResourceOwnerPasswordCredentialsFactory, compose.OAuth2RefreshTokenGrantFactory,
	)
	ctx := context.Background()
	client := &storage.Client{ID: "app", Public: true, Grants: []string{"password", "refresh_token"}, Refresh: "strict"}
	if err := store.PutClient(ctx, client); err != nil {
		panic(err)
	}
	request := fosite.NewAccessRequest(&fosite.DefaultSession{})
	request.Client, request.GrantTypes = client, fosite.Arguments{"password"}
	request.Form.Set("username", "alice")
	request.Form.Set("password", "wonderland")
	for _, handler := range provider.(*fosite.Fosite).Config.GetTokenEndpointHandlers(ctx) {
		if handler.CanHandleTokenEndpointRequest(ctx, request) {
			if err := handler.HandleTokenEndpointRequest(ctx, request); err != nil {
				panic(err)
			}
		}
	}
	response, err := provider.NewAccessResponse(ctx, request)
	if err != nil {
		panic(err)
	}
	sessions, err := store.SessionsAt(ctx, "app")
	if err != nil {
		panic(err)
	}
	fmt.Println(response.GetTokenType(), len(sessions), sessions[0].Client)
	// Output: bearer 1 app
}
