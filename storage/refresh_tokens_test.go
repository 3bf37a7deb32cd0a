package storage

import (
	"encoding/base64"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/storagetest"
)

func refreshTokens(t testing.TB, rdb redis.UniversalClient, o Options) *Store {
	t.Helper()
	o.Password, o.Timeout = cheap, hang
	s, err := New(rdb, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newRefreshToken(t testing.TB, s *Store, id string, number uint32) (token, signature string) {
	t.Helper()
	token, signature, err := s.NewRefreshToken(t.Context(), id, number)
	if err != nil {
		t.Fatal(err)
	}
	return token, signature
}

// wantParsed checks what a store makes of a token.
func wantParsed(t testing.TB, what string, s *Store, token, id, signature string, number uint32) {
	t.Helper()
	gotID, gotSignature, gotNumber, err := s.ParseRefreshToken(t.Context(), token)
	if err != nil || gotID != id || gotSignature != signature || gotNumber != number {
		t.Errorf("%s: session %q, signature %q, number %d, %v; want %q, %q, %d", what, gotID, gotSignature, gotNumber, err, id, signature, number)
	}
}

// Every process of a store reads the number that another has put into a token, and finds the same signature.
func TestRefreshTokensHaveANumber(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		one, two := refreshTokens(t, r.Client(t), Options{}), refreshTokens(t, r.Client(t), Options{})
		derived, _ := DerivedSessionID(NewSessionID("alice"))
		for _, id := range []string{NewSessionID("alice"), NewSessionID(""), derived} {
			for _, number := range []uint32{1, 2, 256, 1 << 31, math.MaxUint32} {
				token, signature := newRefreshToken(t, one, id, number)
				if len(token) != len(id)+1+43 || signature != RefreshSignature(id, token, number) || !strings.HasPrefix(signature, Signature(id, token)+".") {
					t.Fatalf("%q is named %q", token, signature)
				}
				wantParsed(t, "here", one, token, id, signature, number)
				wantParsed(t, "at another process", two, token, id, signature, number)
			}
		}
		id := NewSessionID("alice")
		if a, _ := newRefreshToken(t, one, id, 1); a == first(newRefreshToken(t, one, id, 1)) {
			t.Error("two tokens are the same")
		}
		if RefreshSignature(id, "x", 0) != Signature(id, "x") {
			t.Error("a token without a number has another signature")
		}
		old := id + "." + strings.Repeat("A", 43)
		wantParsed(t, "one of an older version", one, old, id, Signature(id, old), 0)
		for _, bad := range []struct {
			id     string
			number uint32
		}{{id, 0}, {"", 1}, {"foreign", 1}, {id + "x", 1}} {
			if token, _, err := one.NewRefreshToken(t.Context(), bad.id, bad.number); err == nil {
				t.Errorf("%v: token %q", bad, token)
			}
		}
	})
}

func first(a, _ string) string { return a }

// Nothing but a genuine token has a number: not a bit of it can be changed, and it is good for one session of one store. Only
// what has a lower number counts as used, so none of these ends a session.
func TestNumbersOfForgedRefreshTokensAreNotBelieved(t *testing.T) {
	s := refreshTokens(t, storagetest.StartMiniredis(t).Client(t), Options{})
	other := refreshTokens(t, storagetest.StartMiniredis(t).Client(t), Options{})
	id := NewSessionID("alice")
	token, _ := newRefreshToken(t, s, id, 7)
	raw, err := base64.RawURLEncoding.DecodeString(token[len(id)+1:])
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(raw) * 8 {
		raw[i/8] ^= 1 << (i % 8)
		forged := id + "." + base64.RawURLEncoding.EncodeToString(raw)
		wantParsed(t, "a bit changed", s, forged, id, Signature(id, forged), 0)
		raw[i/8] ^= 1 << (i % 8)
	}
	moved := NewSessionID("alice")
	forged := moved + token[len(id):]
	wantParsed(t, "of another session", s, forged, moved, Signature(moved, forged), 0)
	wantParsed(t, "of another store", other, token, id, Signature(id, token), 0)
	parent := id + NewSessionID("")[:nameLength]
	forged = parent + token[len(id):]
	wantParsed(t, "of a session made from it", s, forged, parent, Signature(parent, forged), 0)
}

func TestRefreshTokensHaveOneSpelling(t *testing.T) {
	s := refreshTokens(t, storagetest.StartMiniredis(t).Client(t), Options{})
	id := NewSessionID("alice")
	token, _ := newRefreshToken(t, s, id, 7)
	secret := token[len(id)+1:]
	for name, other := range map[string]string{
		"padded": token + "=", "longer": token + "A", "four longer": token + "AAAA", "shorter": token[:len(token)-1],
		"line end": token + "\n", "line end inside": id + "." + secret[:8] + "\r\n" + secret[8:], "space": " " + token,
		"line end in place of two": id + "." + secret[:41] + "\r\n", "dot behind": token + ".", "two dots": id + ".." + secret,
		"no dot": id + secret, "no session": "." + secret, "no secret": id + ".", "nothing": "", "standard base64": id + "." + strings.Repeat("+", 43),
		"a line end at the end": id + "." + secret[:42] + "\n", "a dot in it": id + "." + secret[:21] + "." + secret[:21],
		"session cut": id[1:] + "." + secret, "signature": Signature(id, token), "numbered signature": RefreshSignature(id, token, 7),
	} {
		if name == "signature" {
			wantParsed(t, name, s, other, id, Signature(id, other), 0) // it looks like an older token, which is not in any record
			continue
		}
		wantParsed(t, name, s, other, "", "", 0)
	}
	upper := id + "." + strings.ToUpper(secret)
	wantParsed(t, "upper case", s, upper, id, Signature(id, upper), 0)
}

// The epoch is asked for once. Until it is known, nothing is said of a token that may be genuine, and none is made.
func TestRefreshTokensNeedTheStoreOnce(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		id := NewSessionID("alice")
		token, signature := newRefreshToken(t, refreshTokens(t, r.Client(t), Options{}), id, 7)
		var trips storagetest.Trips
		rdb := r.Client(t)
		if err := rdb.Ping(t.Context()).Err(); err != nil { // the connection asks for something too
			t.Fatal(err)
		}
		rdb.(*redis.Client).AddHook(&trips)
		s := refreshTokens(t, rdb, Options{})
		for i, want := range []int{1, 0, 0} {
			wantParsed(t, "genuine", s, token, id, signature, 7)
			_, commands := trips.Take()
			commands = slices.DeleteFunc(commands, func(c string) bool { return c == "hello" || strings.HasPrefix(c, "client") }) // of a connection
			if n := len(commands); n != want {
				t.Errorf("look %d took %d round trips: %q", i, n, commands)
			}
		}
		newRefreshToken(t, s, id, 8)
		wantParsed(t, "junk", s, "junk", "", "", 0)
		wantParsed(t, "altered", s, id+"."+strings.Repeat("A", 43), id, Signature(id, id+"."+strings.Repeat("A", 43)), 0)
		if n, commands := trips.Take(); n != 0 {
			t.Errorf("%d round trips: %q", n, commands)
		}

		away := r.Client(t)
		_ = away.Close()
		s = refreshTokens(t, away, Options{})
		if _, signature, _, err := s.ParseRefreshToken(t.Context(), token); !errors.Is(err, fosite.ErrTemporarilyUnavailable) || signature != "" {
			t.Errorf("while Redis is away: %q, %v", signature, err)
		}
		if token, _, err := s.NewRefreshToken(t.Context(), id, 1); !errors.Is(err, fosite.ErrTemporarilyUnavailable) || token != "" {
			t.Errorf("a new token while Redis is away: %q, %v", token, err)
		}
	})
}

// What is left of a store that has lost data goes on under another epoch: its refresh tokens are still good, and none counts as used
// for its number.
func TestRefreshTokensOutliveAnAcceptedLoss(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		l := logIn(t, r)
		id := NewSessionID("alice")
		token, signature := newRefreshToken(t, l.store, id, 7)
		_, request := l.open(id)
		if _, err := l.store.RefreshSession(t.Context(), Signature(id, "refresh"), Signature(id, "a2"), signature, []byte("answer"), request); err != nil {
			t.Fatal(err)
		}
		if err := l.store.db.Client.Del(t.Context(), l.store.db.Keys.Epoch()).Err(); err != nil {
			t.Fatal(err)
		}
		later := refreshTokens(t, r.Client(t), Options{MustExist: true})
		if err := later.AcceptLoss(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, signature, number, err := later.ParseRefreshToken(t.Context(), token)
		if err != nil || number != 0 {
			t.Errorf("number %d, %v", number, err)
		}
		if _, err := later.GetRefreshTokenSession(t.Context(), signature, &storagetest.Session{}); err != nil {
			t.Errorf("a token of before: %v", err)
		}
		next, nextSignature := newRefreshToken(t, later, id, number+1)
		if _, err := later.RefreshSession(t.Context(), signature, Signature(id, "a3"), nextSignature, []byte("answer"), request); err != nil {
			t.Errorf("a refresh: %v", err)
		}
		_, nextSignature, _, _ = later.ParseRefreshToken(t.Context(), next)
		if _, err := later.GetRefreshTokenSession(t.Context(), nextSignature, &storagetest.Session{}); err != nil {
			t.Errorf("the next token: %v", err)
		}
	})
}

// FuzzParseRefreshToken looks for a string that passes for a token with a number. Only the genuine one does.
func FuzzParseRefreshToken(f *testing.F) {
	s := refreshTokens(f, storagetest.StartMiniredis(f).Client(f), Options{})
	id := NewSessionID("alice")
	genuine, _ := newRefreshToken(f, s, id, 7)
	for _, token := range []string{genuine, genuine + "=", id + "." + strings.Repeat("A", 43), id + "." + strings.Repeat("A", 56), "", ".", "..", id} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		id, signature, number, err := s.ParseRefreshToken(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if number != 0 && (token != genuine || number != 7) {
			t.Errorf("number %d of %q", number, token)
		}
		if (id == "") != (signature == "") {
			t.Errorf("%q: session %q, signature %q", token, id, signature)
		}
		if key, _, ok := parseSignature(signature); signature != "" && (!ok || string(key) != id) {
			t.Errorf("%q: a foreign signature %q", token, signature)
		}
	})
}
