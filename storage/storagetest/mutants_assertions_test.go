package storagetest_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
)

// anySubject does not look at the subject for whom a key may speak.
type anySubject struct{ memory }

func (m anySubject) GetPublicKey(_ context.Context, issuer, _, keyID string) (*jose.JSONWebKey, error) {
	for _, keys := range m.IssuerPublicKeys[issuer].KeysBySub {
		if key, ok := keys.Keys[keyID]; ok {
			return key.Key, nil
		}
	}
	return nil, fosite.ErrNotFound
}

// oneKey knows one key of an issuer for a subject.
type oneKey struct{ memory }

func (m oneKey) GetPublicKeys(ctx context.Context, issuer, subject string) (*jose.JSONWebKeySet, error) {
	keys, err := m.memory.GetPublicKeys(ctx, issuer, subject)
	if err == nil {
		keys.Keys = keys.Keys[:1]
	}
	return keys, err
}

// anyKey returns the keys of all subjects of an issuer.
type anyKey struct{ memory }

func (m anyKey) GetPublicKeys(_ context.Context, issuer, _ string) (*jose.JSONWebKeySet, error) {
	set := &jose.JSONWebKeySet{}
	for _, keys := range m.IssuerPublicKeys[issuer].KeysBySub {
		for _, key := range keys.Keys {
			set.Keys = append(set.Keys, *key.Key)
		}
	}
	return set, nil
}

// noScopes has no scopes for a key that is not known, and no error either.
type noScopes struct{ memory }

func (m noScopes) GetPublicKeyScopes(ctx context.Context, issuer, subject, keyID string) ([]string, error) {
	scopes, _ := m.memory.GetPublicKeyScopes(ctx, issuer, subject, keyID)
	return scopes, nil
}

// lookThenMark looks an assertion up and marks it in two steps.
type lookThenMark struct{ memory }

func (m lookThenMark) MarkJWTUsedForTime(ctx context.Context, jti string, exp time.Time) error {
	if used, _ := m.IsJWTUsed(ctx, jti); used {
		return fosite.ErrJTIKnown
	}
	time.Sleep(time.Millisecond)
	_ = m.memory.MarkJWTUsedForTime(ctx, jti, exp)
	return nil
}

// forgetsAssertions has the method and does nothing in it.
type forgetsAssertions struct{ memory }

func (forgetsAssertions) MarkJWTUsedForTime(context.Context, string, time.Time) error { return nil }

// strictExpiry refuses to mark an assertion whose time has passed by its own clock.
type strictExpiry struct{ memory }

func (m strictExpiry) MarkJWTUsedForTime(ctx context.Context, jti string, exp time.Time) error {
	if time.Until(exp) <= 0 {
		return fosite.ErrJTIKnown
	}
	return m.memory.MarkJWTUsedForTime(ctx, jti, exp)
}

// anyNonce has the method and checks nothing in it.
type anyNonce struct{ whole }

func (anyNonce) IsNonceValid(context.Context, string, string) error { return nil }

// unbound makes nonces for whichever access token.
type unbound struct{ whole }

func (m unbound) NewNonce(ctx context.Context, _ string, exp time.Time) (string, error) {
	return m.whole.NewNonce(ctx, "", exp)
}

func (m unbound) IsNonceValid(ctx context.Context, _, nonce string) error {
	return m.whole.IsNonceValid(ctx, "", nonce)
}

// oneNonce keeps one nonce for each access token.
type oneNonce struct {
	whole
	mu     *sync.Mutex
	nonces map[string]string
}

func (m oneNonce) NewNonce(ctx context.Context, access string, exp time.Time) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if nonce, ok := m.nonces[access]; ok {
		return nonce, nil
	}
	nonce, err := m.whole.NewNonce(ctx, access, exp)
	m.nonces[access] = nonce
	return nonce, err
}

func TestSuiteFindsMistakesInAssertions(t *testing.T) {
	memoryMutants{
		"a key speaks for any subject": {
			func(s memory) revocable { return anySubject{s} },
			[]string{"assertion keys/keys of other issuers and subjects are not found"},
		},
		"one key of several": {
			func(s memory) revocable { return oneKey{s} },
			[]string{"assertion keys/a key that was added is found with its scopes"},
		},
		"the keys of all subjects": {
			func(s memory) revocable { return anyKey{s} },
			[]string{"assertion keys/keys of other issuers and subjects are not found"},
		},
		"no error for an unknown key": {
			func(s memory) revocable { return noScopes{s} },
			[]string{"assertion keys/keys of other issuers and subjects are not found"},
		},
		"an assertion is looked up, then marked": {
			func(s memory) revocable { return lookThenMark{s} },
			[]string{"assertion keys/an assertion sent many times at once is accepted once"},
		},
		"assertions are forgotten": {
			func(s memory) revocable { return forgetsAssertions{s} },
			[]string{"assertion keys/a used assertion is known", "assertion keys/fosite accepts an assertion once"},
		},
		"an expired assertion is known": {
			func(s memory) revocable { return strictExpiry{s} },
			[]string{"assertion keys/an assertion that has already expired can be marked"},
		},
	}.mustFail(t)
}

func TestSuiteFindsMistakesInNonces(t *testing.T) {
	storeMutants{
		"a nonce for every access token":  {func(s whole) whole { return unbound{s} }, []string{"nonces/a nonce is not valid for another access token"}},
		"one nonce for each access token": {func(s whole) whole { return oneNonce{s, &sync.Mutex{}, map[string]string{}} }, []string{"nonces/nonces made at once are different and all valid"}},
		"every nonce is valid": {
			func(s whole) whole { return anyNonce{s} },
			[]string{
				"nonces/an unknown nonce is not valid", "nonces/a nonce that has already expired is not valid",
				"nonces/a nonce is not valid for another access token", "expiry/nonces expire",
			},
		},
	}.mustFail(t)
}
