package storage

import (
	"errors"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// A code expires, and is remembered for 15 minutes more, used or not. Nothing of it is left then.
func TestCodeExpires(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	s := newCodeStore(t, r)
	for name, native := range codeForms {
		before := len(r.Keys(t))
		unused, used := s.issue(native, "alice", time.Minute), s.issue(native, "alice", time.Minute)
		if err := s.InvalidateAuthorizeCodeSession(t.Context(), used.signature); err != nil {
			t.Fatal(err)
		}
		r.Advance(time.Minute + time.Second)
		_, err := s.get(unused)
		s.notCode(name+": expired", err)
		s.notCode(name+": expired, by itself", s.InvalidateAuthorizeCodeSession(t.Context(), unused.signature))
		s.notCode(name+": expired, with tokens", s.exchange(unused, nil, nil))
		r.Advance(codeMemory - 3*time.Second)
		_, err = s.get(used)
		wantErr(t, name+": used, 15 minutes later", err, fosite.ErrInvalidatedAuthorizeCode)
		r.Advance(3 * time.Second)
		_, err = s.get(used)
		s.notCode(name+": forgotten", err)
		if after := r.Keys(t); len(after) != before {
			t.Errorf("%s: left: %q", name, after)
		}
	}
	late := s.issue(true, "alice", time.Minute)
	s.notCode("expired before the tokens were stored", s.exchange(late, nil, func() { r.Advance(time.Minute + time.Second) }))
	if s.open(late) {
		t.Error("tokens for a code that had expired")
	}
	long := s.issue(true, "alice", 200*365*24*time.Hour)
	if _, err := s.get(long); err != nil {
		t.Errorf("a code for two hundred years: %v", err)
	}
	never := s.issue(true, "alice", 0)
	delete(never.request.Session.(*storagetest.Session).Expires, fosite.AuthorizeCode)
	if err := s.CreateAuthorizeCodeSession(t.Context(), never.sign("other"), never.request); err != nil {
		t.Fatal(err)
	}
	if ttl := s.Tokens.db.Client.PTTL(t.Context(), s.codeKeys(sessionKey(never.request.ID), never.sign("other"))[0]).Val(); ttl <= codeMemory || ttl > codeMemory+defaultCodeTTL {
		t.Errorf("a code without an expiry is there for %v", ttl)
	}
}

// A record of a newer version, or one that cannot be read, is unavailable and no refusal.
func TestCodeRecordsThatCannotBeRead(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		s, ctx := newCodeStore(t, r), t.Context()
		i := s.issue(true, "alice", time.Minute)
		key := sessionKey(i.request.ID)
		name, rdb := s.codeKeys(key, i.signature)[0], s.Tokens.db.Client
		good := rdb.Get(ctx, name).Val()
		for what, raw := range map[string]string{
			"a newer version": "\x02" + good[1:], "another state": good[:1] + "x" + good[2:], "a short one": good[:10], "": "",
			"no request": good[:18], "a long generation": good[:18] + "\xff" + good[19:], "no client": good[:50], "no request ID": good[:66],
		} {
			if err := rdb.Set(ctx, name, raw, time.Hour).Err(); err != nil {
				t.Fatal(err)
			}
			_, get := s.get(i)
			for call, err := range map[string]error{"look-up": get, "with tokens": s.exchange(i, nil, nil)} {
				if !errors.Is(err, fosite.ErrTemporarilyUnavailable) || errors.Is(err, fosite.ErrNotFound) {
					t.Errorf("%s: %s: %v, want unavailable", what, call, err)
				}
			}
		}
		for what, raw := range map[string]string{"a newer version": "\x02" + good[1:], "another state": good[:1] + "x" + good[2:]} {
			if err := rdb.Set(ctx, name, raw, time.Hour).Err(); err != nil {
				t.Fatal(err)
			}
			wantErr(t, what+": by itself", s.InvalidateAuthorizeCodeSession(ctx, i.signature), fosite.ErrTemporarilyUnavailable)
			wantErr(t, what+": written over", s.CreateAuthorizeCodeSession(ctx, i.signature, i.request), fosite.ErrTemporarilyUnavailable)
		}
	})
}
