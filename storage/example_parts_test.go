package storage_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/ory/fosite"
	fositestorage "github.com/ory/fosite/storage"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/throttle"
)

// connectFake stands for storage.Connect with the address of your Redis.
func connectFake() (rdb redis.UniversalClient, stop func()) {
	fake, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	return storage.Connect(redis.UniversalOptions{Addrs: []string{fake.Addr()}}), fake.Close
}

// Tokens alone, for a fosite server that keeps clients and users elsewhere.
func ExampleNewTokens() {
	rdb, stop := connectFake()
	defer stop()
	clients := fositestorage.NewMemoryStore()
	clients.Clients["app"] = &fosite.DefaultClient{ID: "app", Public: true}
	tokens, err := storage.NewTokens(rdb, clients, storage.Options{})
	if err != nil {
		panic(err)
	}

	ctx := context.Background()
	request := fosite.NewAccessRequest(&fosite.DefaultSession{Subject: "alice"})
	request.ID = storage.NewSessionID("alice")
	request.Client = clients.Clients["app"]
	signature := storage.Signature(request.ID, "the access token")
	if err := tokens.CreateAccessTokenSession(ctx, signature, request); err != nil {
		panic(err)
	}
	found, err := tokens.GetAccessTokenSession(ctx, signature, &fosite.DefaultSession{})
	if err != nil {
		panic(err)
	}
	fmt.Println(found.GetClient().GetID(), found.GetSession().GetSubject())
	if err := tokens.RevokeSubject(ctx, "alice"); err != nil {
		panic(err)
	}
	_, err = tokens.GetAccessTokenSession(ctx, signature, nil)
	fmt.Println(errors.Is(err, fosite.ErrNotFound))
	// Output:
	// app alice
	// true
}

// Users alone, with a limit on failed logins.
func ExampleNewUsers() {
	rdb, stop := connectFake()
	defer stop()
	users, err := storage.NewUsers(rdb, storage.Options{Throttle: throttle.Limits{PerUserNetwork: 3}})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	if err := users.AddUser(ctx, storage.User{Name: "alice", Active: true}, "wonderland"); err != nil {
		panic(err)
	}
	_, err = users.VerifyPassword(ctx, "alice", "wonderland", "192.0.2.1")
	fmt.Println(err)
	for range 4 {
		_, err = users.VerifyPassword(ctx, "alice", "looking-glass", "192.0.2.1")
	}
	var refused policy.TooManyAttempts
	fmt.Println(errors.As(err, &refused), refused.RetryAfter > time.Minute)
	// Output:
	// <nil>
	// true true
}

// Clients alone, for a fosite server that keeps its tokens elsewhere.
func ExampleNewClients() {
	rdb, stop := connectFake()
	defer stop()
	clients, err := storage.NewClients(rdb, storage.Options{})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	if err := clients.PutClient(ctx, &storage.Client{ID: "app", Public: true, Grants: []string{"password"}}); err != nil {
		panic(err)
	}
	client, err := clients.GetClient(ctx, "app")
	if err != nil {
		panic(err)
	}
	fmt.Println(client.GetID(), client.GetGrantTypes())
	_, err = clients.GetClient(ctx, "other")
	fmt.Println(errors.Is(err, fosite.ErrNotFound))
	// Output:
	// app [password]
	// true
}
