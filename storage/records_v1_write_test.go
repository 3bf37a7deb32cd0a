package storage_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
)

// A record that the version before wrote means the same after a write that changes none of its tokens, which stores it as this
// version does, and after a refresh.
func TestRecordsOfTheVersionBeforeAreWritten(t *testing.T) {
	onRecordsV1(t, func(t *testing.T, s storeV1) {
		for _, r := range s.records.Sessions {
			s.touch(t, r)
		}
		s.check(t)
		s.checkLists(t)
		for _, r := range s.records.Sessions {
			s.rotate(t, r)
		}
		s.check(t)
		for _, r := range s.records.Sessions {
			s.repeat(t, r)
		}
		for _, r := range slices.Backward(s.records.Sessions) { // those that were made from others first: they end with them
			s.reuse(t, r)
		}
	})
}

// touch writes the session's record: it revokes an access token that was never issued, or where no name of one leads to the
// session, fetches another one.
func (s storeV1) touch(t *testing.T, r *recordV1) {
	t.Helper()
	ctx := t.Context()
	if current := r.current(); !r.native() && current != nil {
		s.refresh(t, r, *current, "another access token of "+r.ID, "", nil)
	} else if err := s.DeleteAccessTokenSession(ctx, storage.Signature(r.ID, "never issued")); err != nil {
		t.Errorf("%s: %v", r.Name, err)
	}
	if !r.Listed {
		return
	}
	if info, err := s.Session(ctx, r.ID); err != nil || info.RecordVersion != 2 {
		t.Errorf("%s: not written: %+v, %v", r.Name, info, err)
	}
}

// native tells whether the session ID is one of this package.
func (r *recordV1) native() bool { return strings.HasPrefix(r.Tokens[0].Signature, r.ID) }

// current returns the refresh token that a refresh takes, or nil.
func (r *recordV1) current() *tokenV1 {
	var last *tokenV1
	for i, token := range r.Tokens {
		if token.Refresh && token.Want == "found" && token.Answer == nil {
			last = &r.Tokens[i]
		}
	}
	return last
}

// refresh refreshes a session, and returns the earlier answer or the error.
func (s storeV1) refresh(t *testing.T, r *recordV1, token tokenV1, access, refresh string, answer []byte) ([]byte, error) {
	t.Helper()
	client, err := s.GetClient(t.Context(), r.Client)
	if err != nil {
		t.Fatalf("%s: %v", r.Name, err)
	}
	req := fosite.NewAccessRequest(r.session())
	req.ID, req.Client, req.GrantedScope = r.ID, client, r.Scopes
	if found, err := s.GetRefreshTokenSession(t.Context(), token.Signature, req.Session); found == nil {
		t.Fatalf("%s: %s: %v", r.Name, token.Name, err)
	}
	return s.RefreshSession(t.Context(), token.Signature, access, refresh, answer, req)
}

// rotate replaces the current refresh token, which then is a used one, or one in its grace.
func (s storeV1) rotate(t *testing.T, r *recordV1) {
	t.Helper()
	token := r.current()
	if token == nil || strings.HasPrefix(r.Client, "operations") { // whose refresh tokens are static
		return
	}
	next := func(kind string) string {
		if r.native() {
			return storage.Signature(r.ID, "the next "+kind)
		}
		return "the next " + kind + " of " + r.ID
	}
	if earlier, err := s.refresh(t, r, *token, next("access"), next("refresh"), nil); earlier != nil || err != nil {
		t.Errorf("%s: rotation: %v", r.Name, err)
		return
	}
	for i, kind := range []string{"access", "refresh"} {
		s.checkToken(t, r, tokenV1{Name: "the next " + kind, Refresh: i == 1, Signature: next(kind), Want: "found", Owner: true})
	}
	_, err := s.GetRefreshTokenSession(t.Context(), token.Signature, nil)
	if token.Want = outcome(err); token.Want == "not found" {
		t.Errorf("%s: the token before is not found", r.Name)
	}
}

// repeat presents the tokens whose answer is kept, and gets that.
func (s storeV1) repeat(t *testing.T, r *recordV1) {
	t.Helper()
	for _, token := range r.Tokens {
		if token.Answer == nil {
			continue
		}
		other := storage.Signature(r.ID, "another token")
		answer, err := s.refresh(t, r, token, other, other, []byte("another answer"))
		if err != nil || !bytes.Equal(answer, token.Answer) {
			t.Errorf("%s: %s: an answer of %d bytes (%v), want the one of %d", r.Name, token.Name, len(answer), err, len(token.Answer))
		}
	}
}

// reuse presents the oldest used token again, which ends the session.
func (s storeV1) reuse(t *testing.T, r *recordV1) {
	t.Helper()
	for _, token := range r.Tokens {
		if token.Want != "used" {
			continue
		}
		if _, err := s.refresh(t, r, token, "an access token", "a refresh token", nil); outcome(err) != "used" {
			t.Errorf("%s: %s: %v, want ErrInactiveToken", r.Name, token.Name, err)
		}
		for _, other := range r.Tokens {
			other.Want, other.Owner = "not found", false
			s.checkToken(t, r, other)
		}
		return
	}
}
