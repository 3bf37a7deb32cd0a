package authserver

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
)

// Slow hashes of secrets take turns. Who waits for too long is told that the server is busy, not that the secret is wrong, and fast
// hashes do not wait.
func TestSlowSecretsTakeTurns(t *testing.T) {
	slow, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	fast, err := Secrets{}.Hash(t.Context(), []byte("demo-secret"))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s, ctx := &Server{slowSecrets: newSlowSecrets()}, t.Context()
		client := func(hash []byte) Client { return clientWithSecret{&fosite.DefaultClient{Secret: hash}} }
		for range cap(s.slowSecrets) {
			if _, err := s.slowSecrets.acquire(ctx); err != nil {
				t.Fatal(err)
			}
		}
		begun := time.Now()
		if err := s.compareSecrets(ctx, client(slow), []byte("right")); !isUnavailable(err) || time.Since(begun) != maxSlowWait {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		given, giveUp := context.WithCancel(ctx)
		giveUp()
		if err := s.compareSecrets(given, client(slow), []byte("right")); !isUnavailable(err) {
			t.Errorf("who has gone: %v", err)
		}
		if err := s.compareSecrets(ctx, client(fast), []byte("demo-secret")); err != nil {
			t.Errorf("a fast hash: %v", err)
		}
		<-s.slowSecrets
		for secret, want := range map[string]error{"right": nil, "wrong": errWrongSecret} {
			if err := s.compareSecrets(ctx, client(slow), []byte(secret)); !errors.Is(err, want) {
				t.Errorf("%s: %v", secret, err)
			}
		}
		if len(s.slowSecrets) != cap(s.slowSecrets)-1 {
			t.Errorf("%d of %d turns are taken", len(s.slowSecrets), cap(s.slowSecrets))
		}
	})
}

type clientWithSecret struct{ fosite.Client }

func (clientWithSecret) Policy() policy.Client { return policy.Client{} }
