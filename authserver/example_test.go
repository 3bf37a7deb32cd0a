package authserver_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gorilla/mux"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/storage"
)

// The whole server, under a router of your own.
func Example() {
	fake, err := miniredis.Run() // your Redis
	if err != nil {
		panic(err)
	}
	defer fake.Close()
	// The time-outs are longer than the defaults for the sake of busy test machines.
	rdb := storage.Connect(redis.UniversalOptions{Addrs: []string{fake.Addr()}, ReadTimeout: 10 * time.Second})
	store, err := storage.New(rdb, storage.Options{Timeout: 30 * time.Second})
	if err != nil {
		panic(err)
	}
	set, err := keys.New(keys.Config{Store: store.Keys})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	if err := set.Open(ctx); err != nil { // and `go set.Run(ctx, log)` in a server that stays
		panic(err)
	}
	server, err := authserver.New(authserver.Config{
		Issuer: "https://auth.example.org", Storage: store, Users: store.Users, Keys: set, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	if err := store.Users.AddUser(ctx, storage.User{Name: "alice", Active: true}, "wonderland"); err != nil {
		panic(err)
	}
	if err := store.PutClient(ctx, &storage.Client{ID: "app", Public: true, Grants: []string{"password", "refresh_token"}}); err != nil {
		panic(err)
	}

	router := mux.NewRouter()
	router.HandleFunc("/hello", func(http.ResponseWriter, *http.Request) {}) // the rest of your program
	server.Register(router)

	form := url.Values{"grant_type": {"password"}, "client_id": {"app"}, "username": {"alice"}, "password": {"wonderland"}}
	request := httptest.NewRequestWithContext(ctx, http.MethodPost, "/oauth2/token", strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := httptest.NewRecorder()
	router.ServeHTTP(answer, request)
	body := decode(answer.Body.Bytes())
	fmt.Println(answer.Code, body["token_type"], body["refresh_token"] != nil)
	// Output: 200 bearer true
}
