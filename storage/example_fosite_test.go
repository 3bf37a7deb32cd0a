package storage_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"golang.org/x/oauth2"

	"github.com/opgrant/opgrant/storage"
)

// A whole server of stock fosite on nothing but the store, and an application that gets tokens by a pushed request and a code with
// PKCE, introspects, refreshes and revokes them. See the package documentation for what a server answers while Redis is away.
func Example_fosite() {
	rdb, stop := connectFake()
	defer stop()
	ctx, secret := context.Background(), "k3Qp-98xZ-77ab-Lm21"
	store := must(storage.New(rdb, storage.Options{}))
	check(store.PutClient(ctx, &storage.Client{
		ID: "app", Secrets: []string{string(must(storage.ClientSecretsHasher{}.Hash(ctx, []byte(secret))))}, Scopes: []string{"openid", "offline"},
		Grants: []string{"authorization_code", "refresh_token"}, RedirectURIs: []string{"http://localhost/done"}, Refresh: "strict",
	}))
	p := compose.ComposeAllEnabled(&fosite.Config{
		GlobalSecret: []byte("thirty-two bytes of secret, here"), ClientSecretsHasher: storage.ClientSecretsHasher{}, EnforcePKCE: true,
	}, store, must(rsa.GenerateKey(rand.Reader, 2048)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch ctx := r.Context(); r.URL.Path {
		case "/par":
			request := must(p.NewPushedAuthorizeRequest(ctx, r))
			p.WritePushedAuthorizeResponse(ctx, w, request, must(p.NewPushedAuthorizeResponse(ctx, request, session(""))))
		case "/auth": // alice has logged in and consented
			request := must(p.NewAuthorizeRequest(ctx, r))
			request.GrantScope("openid")
			request.GrantScope("offline")
			p.WriteAuthorizeResponse(ctx, w, request, must(p.NewAuthorizeResponse(ctx, request, session("alice"))))
		case "/token":
			request, err := p.NewAccessRequest(ctx, r, session(""))
			if err != nil {
				p.WriteAccessError(ctx, w, request, err)
				return
			}
			p.WriteAccessResponse(ctx, w, request, must(p.NewAccessResponse(ctx, request)))
		case "/introspect":
			if answer, err := p.NewIntrospectionRequest(ctx, r, session("")); err != nil {
				p.WriteIntrospectionError(ctx, w, err)
			} else {
				p.WriteIntrospectionResponse(ctx, w, answer)
			}
		case "/revoke":
			p.WriteRevocationResponse(ctx, w, p.NewRevocationRequest(ctx, r))
		}
	}))
	defer server.Close()
	app := application{Config: &oauth2.Config{
		ClientID: "app", ClientSecret: secret, RedirectURL: "http://localhost/done", Scopes: []string{"openid", "offline"},
		Endpoint: oauth2.Endpoint{AuthURL: server.URL + "/auth", TokenURL: server.URL + "/token"},
	}, server: server.URL}
	verifier := oauth2.GenerateVerifier()
	code := app.authorize(app.AuthCodeURL("a state of the app", oauth2.S256ChallengeOption(verifier)))
	first := must(app.Exchange(ctx, code, oauth2.VerifierOption(verifier)))
	fmt.Println("refresh token and ID token:", first.RefreshToken != "", first.Extra("id_token") != nil)
	next := must(app.TokenSource(ctx, &oauth2.Token{RefreshToken: first.RefreshToken}).Token())
	fmt.Println("refreshed, active:", app.post("/introspect", url.Values{"token": {next.AccessToken}})["active"])
	app.post("/revoke", url.Values{"token": {next.RefreshToken}})
	fmt.Println("revoked, active:", app.post("/introspect", url.Values{"token": {next.AccessToken}})["active"])
	fmt.Println("the code again:", app.refusal(ctx, code, verifier))
	// Output:
	// refresh token and ID token: true true
	// refreshed, active: true
	// revoked, active: false
	// the code again: invalid_grant
}
