package opgrant_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/storage"
)

// Both APIs with users, roles, limits on failed logins and signing keys. In a program, http.ListenAndServe serves it.
func Example() {
	fake, err := miniredis.Run() // your Redis
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	ctx := context.Background()

	grants := []string{"password", "refresh_token"}
	server, err := opgrant.New(opgrant.Config{
		Issuer: "https://auth.example.org",
		Redis:  storage.Connect(redis.UniversalOptions{Addrs: []string{fake.Addr()}}),
		Prepare: func(ctx context.Context, s *opgrant.Server) error {
			return errors.Join(
				s.Store.PutClient(ctx, &storage.Client{ID: "operations", Public: true, Grants: grants, Profile: "legacy", Refresh: "static"}),
				s.Store.PutClient(ctx, &storage.Client{ID: "app", Public: true, Grants: grants}))
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(server.Run(ctx)) }()
	site := httptest.NewServer(server)

	defer site.Close()
	<-server.Started()
	if err := server.Store.Users.AddUser(ctx, storage.User{Name: "alice", Active: true}, "wonderland"); err != nil {
		log.Fatal(err)
	}
	show(site.Client().PostForm(site.URL+"/oauth2/token", url.Values{
		"grant_type": {"password"}, "client_id": {"app"}, "username": {"alice"}, "password": {"wonderland"},
	}))
	show(site.Client().Post(site.URL, "application/json",
		strings.NewReader(`{"operation":"create_authentication_tokens","username":"alice","password":"wonderland"}`)))
	// Output:
	// 200 access_token expires_in refresh_token token_type
	// 200 operation_token refresh_token
}

// show prints the status of an answer and the names of its members.
func show(resp *http.Response, err error) {
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.StatusCode, strings.Join(memberNames(body), " "))
}
