package authserver

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/admission"
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
		var taken []admission.Ticket
		for range max(1, runtime.GOMAXPROCS(0)/2) {
			ticket, err := s.slowSecrets.Enter(ctx, admission.First)
			if err != nil {
				t.Fatal(err)
			}
			taken = append(taken, ticket)
		}
		begun := time.Now()
		if err := s.compareSecrets(ctx, client(slow), []byte("right")); !isUnavailable(err) || time.Since(begun) < maxSlowWait || time.Since(begun) > 2*maxSlowWait {
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
		// Those that wait keep places among the requests: they must leave some to others.
		waiting, giveUp := context.WithCancel(ctx)
		most := slowWaitingPerCore * runtime.GOMAXPROCS(0)
		for range 3 * most {
			go func() { _ = s.compareSecrets(waiting, client(slow), []byte("wrong")) }()
		}
		synctest.Wait()
		if n := s.slowSecrets.Numbers().Waiting; n == 0 || n > most {
			t.Errorf("%d wait, want up to %d", n, most)
		}
		giveUp()
		synctest.Wait()
		for i := range taken {
			taken[i].Leave()
		}
		for secret, want := range map[string]error{"right": nil, "wrong": errWrongSecret} {
			if err := s.compareSecrets(ctx, client(slow), []byte(secret)); !errors.Is(err, want) {
				t.Errorf("%s: %v", secret, err)
			}
		}
		if n := s.slowSecrets.Numbers(); n.Running != 0 || n.Waiting != 0 {
			t.Errorf("turns are taken: %+v", n)
		}
	})
}

type clientWithSecret struct{ fosite.Client }

func (clientWithSecret) Policy() policy.Client { return policy.Client{} }
