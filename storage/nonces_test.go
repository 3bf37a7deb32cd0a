package storage

import (
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// A nonce is valid with its access token until it expires.
func TestNonces(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	s, ctx := newCodeStore(t, r), t.Context()
	nonce := must(s.NewNonce(ctx, "token", time.Now().Add(time.Minute)))
	other := must(s.NewNonce(ctx, "token", time.Now().Add(2*time.Minute)))
	lasting := must(s.NewNonce(ctx, "token", time.Time{}))
	past := must(s.NewNonce(ctx, "token", time.Now().Add(-time.Second)))
	if nonce == other || len(nonce) != 22 {
		t.Errorf("%q and %q", nonce, other)
	}
	for range 2 {
		wantErr(t, "valid", s.IsNonceValid(ctx, "token", nonce), nil)
	}
	s.notCode("another token", s.IsNonceValid(ctx, "token2", nonce))
	s.notCode("never issued", s.IsNonceValid(ctx, "token", "nonce"))
	s.notCode("issued too late", s.IsNonceValid(ctx, "token", past))
	r.Advance(time.Minute + time.Second)
	s.notCode("expired", s.IsNonceValid(ctx, "token", nonce))
	wantErr(t, "the other", s.IsNonceValid(ctx, "token", other), nil)
	r.Advance(time.Hour)
	s.notCode("without a time, after an hour", s.IsNonceValid(ctx, "token", lasting))
}
