package storage

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// loggedIn is a store with a user, a client and a session of theirs.
type loggedIn struct {
	t       *testing.T
	store   *Store
	request *fosite.Request
	key     sessionKey
}

func logIn(t *testing.T, r *storagetest.Instance) *loggedIn {
	t.Helper()
	store, err := New(r.Client(t), Options{Password: cheap, Timeout: hang, ClientCache: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	mustAdd(t, store.Users, "alice", "one", "")
	client := &Client{ID: "app", Public: true, Grants: []string{"password"}}
	if err := store.PutClient(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	l := &loggedIn{t: t, store: store}
	l.key, l.request = l.open(NewSessionID("alice"))
	return l
}

// open stores a session with an access token "access" and a refresh token "refresh".
func (l *loggedIn) open(id string) (sessionKey, *fosite.Request) {
	l.t.Helper()
	session := &storagetest.Session{Subject: "alice"}
	session.SetExpiresAt(fosite.AccessToken, time.Now().Add(5*time.Minute))
	session.SetExpiresAt(fosite.RefreshToken, time.Now().Add(time.Hour))
	client, err := l.store.Client(l.t.Context(), "app")
	if err != nil {
		l.t.Fatal(err)
	}
	request := &fosite.Request{ID: id, Client: client, Session: session}
	err = errors.Join(
		l.store.CreateAccessTokenSession(l.t.Context(), Signature(id, "access"), request),
		l.store.CreateRefreshTokenSession(l.t.Context(), Signature(id, "refresh"), "", request))
	if err != nil {
		l.t.Fatal(err)
	}
	return sessionKey(id), request
}

// want checks what a store says about both tokens of a session, and about a refresh of it.
func (l *loggedIn) want(what string, store *Store, id string, want error) {
	l.t.Helper()
	_, access := store.GetAccessTokenSession(l.t.Context(), Signature(id, "access"), &storagetest.Session{})
	_, refresh := store.GetRefreshTokenSession(l.t.Context(), Signature(id, "refresh"), &storagetest.Session{})
	_, rotation := store.RefreshSession(l.t.Context(), Signature(id, "refresh"), Signature(id, "a2"), "", nil, l.request)
	for name, err := range map[string]error{"access token": access, "refresh token": refresh, "refresh": rotation} {
		if !errors.Is(err, want) || want == nil && err != nil || errors.Is(err, fosite.ErrNotFound) != errors.Is(want, fosite.ErrNotFound) {
			l.t.Errorf("%s: %s: %v, want %v", what, name, err, want)
		}
	}
}

// Finding A7: all sessions of a user end, whether or not the index of them is there.
func TestSessionsEndWithoutTheIndex(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		password := "two"
		for name, end := range map[string]func(s *Store) error{
			"a new password":    func(s *Store) error { return s.Users.ChangeUser(t.Context(), "alice", UserChange{Password: &password}) },
			"revocation":        func(s *Store) error { return s.RevokeSubject(t.Context(), "alice") },
			"ended by a change": func(s *Store) error { return s.Users.ChangeUser(t.Context(), "alice", UserChange{EndSessions: true}) },
			"dropped":           func(s *Store) error { return s.Users.DropUser(t.Context(), "alice") },
			"dropped and added": func(s *Store) error {
				return errors.Join(s.Users.DropUser(t.Context(), "alice"), s.Users.AddUser(t.Context(), User{Name: "alice", Active: true}, "one"))
			},
			"disabled":         func(s *Store) error { return s.Users.ChangeUser(t.Context(), "alice", UserChange{Active: new(bool)}) },
			"the client's end": func(s *Store) error { _, err := s.RevokeClient(t.Context(), "app"); return err },
			"the client's again": func(s *Store) error {
				return errors.Join(s.RemoveClient(t.Context(), "app"), s.PutClient(t.Context(), &Client{ID: "app", Public: true, Grants: []string{"password"}}))
			},
		} {
			l := logIn(t, r)
			l.want("before "+name, l.store, string(l.key), nil)
			rdb, keys := l.store.db.Client, l.store.db.Keys
			if err := rdb.Del(t.Context(), keys.Sessions(l.key.tag())).Err(); err != nil {
				t.Fatal(err)
			}
			if err := end(l.store); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			visited := name == "the client's end" // which needs no index
			if rdb.Exists(t.Context(), keys.Session(l.key.tag(), l.key.name())).Val() != 1 && !visited {
				t.Fatalf("%s: the record is gone, so that this shows nothing", name)
			}
			if _, err := l.store.GetAccessTokenSession(t.Context(), Signature(string(l.key), "access"), &storagetest.Session{}); !errors.Is(err, fosite.ErrNotFound) {
				t.Errorf("%s: access token: %v", name, err)
			}
			if _, err := l.store.GetRefreshTokenSession(t.Context(), Signature(string(l.key), "refresh"), &storagetest.Session{}); !errors.Is(err, fosite.ErrNotFound) {
				t.Errorf("%s: refresh token: %v", name, err)
			}
			if name == "the client's end" {
				l.key, _ = l.open(NewSessionID("alice"))
				l.want("a session opened afterwards", l.store, string(l.key), nil)
			}
			_ = l.store.Users.DropUser(t.Context(), "alice")
			if err := l.store.RemoveClient(t.Context(), "app"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A server that has the client in its cache learns of another generation when it meets a session of it.
func TestAClientInTheCacheIsReadAgainForANewerSession(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		l := logIn(t, r)
		other, err := New(r.Client(t), Options{Password: cheap, Timeout: hang, ClientCache: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		l.want("the other server", other, string(l.key), nil) // the client is in its cache
		if _, err := l.store.RevokeClient(t.Context(), "app"); err != nil {
			t.Fatal(err)
		}
		l.want("an ended session at the other server", other, string(l.key), fosite.ErrNotFound)
		l.key, l.request = l.open(NewSessionID("alice"))
		l.want("a new session at the other server", other, string(l.key), nil)
	})
}

// Storing a client anew, as each start with a configuration does, ends nothing.
func TestStoringAClientKeepsItsSessions(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		l := logIn(t, r)
		if err := l.store.PutClient(t.Context(), &Client{ID: "app", Public: true, Grants: []string{"password"}, Name: "new"}); err != nil {
			t.Fatal(err)
		}
		l.want("stored again", l.store, string(l.key), nil)
	})
}

// Finding A8: a record that cannot be read is an outage, and no refusal.
func TestUnreadableRecordsAreUnavailable(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		for _, record := range []string{"{}", "null", "[]", `"x"`, "{", "", `{"v":2}`, "\x03newer"} {
			l := logIn(t, r)
			rdb, keys := l.store.db.Client, l.store.db.Keys
			damage := func(key, value string) (restore func()) {
				good := rdb.Get(t.Context(), key).Val()
				if err := rdb.Set(t.Context(), key, value, redis.KeepTTL).Err(); err != nil {
					t.Fatal(err)
				}
				return func() { rdb.Set(t.Context(), key, good, redis.KeepTTL) }
			}
			check := func(what string) {
				t.Helper()
				l.want(what, l.store, string(l.key), fosite.ErrTemporarilyUnavailable)
				if _, _, err := l.store.TokenOwner(t.Context(), Signature(string(l.key), "refresh"), true); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
					t.Errorf("%s: revocation: %v", what, err)
				}
				if _, err := l.store.Users.Claims(t.Context(), "alice"); strings.HasPrefix(what, "user") && !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
					t.Errorf("%s: claims: %v", what, err)
				}
				if _, err := l.store.Users.Authenticate(t.Context(), "alice", "one"); strings.HasPrefix(what, "user") && !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
					t.Errorf("%s: login: %v", what, err)
				}
			}
			restore := damage(keys.User(l.key.tag()), record)
			check("user record " + record)
			restore()
			session := keys.Session(l.key.tag(), l.key.name())
			restore = damage(session, record)
			check("session record " + record)
			restore()
			whole := rdb.Get(t.Context(), session).Val()
			s, err := decodeSession("test", whole)
			if err != nil {
				t.Fatal(err)
			}
			if record != `{"v":2}` {
				restore = damage(session, strings.TrimSuffix(whole, string(s.body))+record)
				_, err := l.store.GetAccessTokenSession(t.Context(), Signature(string(l.key), "access"), &storagetest.Session{})
				if !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
					t.Errorf("request in the session record %s: %v", record, err)
				}
				restore()
			}
			l.want("restored", l.store, string(l.key), nil)
			_ = l.store.Users.DropUser(t.Context(), "alice")
		}
	})
}

// Finding A15: whether a record has expired is asked of Redis's clock, by which it was stored. The clock of this process is
// minutes away from it.
func TestOneClockForTheExpiryOfTokens(t *testing.T) {
	for _, offset := range []time.Duration{-10 * time.Minute, 10 * time.Minute, -24 * time.Hour, 24 * time.Hour} {
		r := storagetest.StartMiniredis(t)
		r.Mini.SetTime(time.Now().Add(offset))
		l := logIn(t, r)
		l.want("at "+offset.String(), l.store, string(l.key), nil)
		r.Mini.SetTime(time.Now().Add(offset + 6*time.Minute)) // without removing the key, whose TTL is an hour
		if _, err := l.store.GetAccessTokenSession(t.Context(), Signature(string(l.key), "access"), nil); !errors.Is(err, fosite.ErrNotFound) {
			t.Errorf("at %s: an expired access token: %v", offset, err)
		}
	}
}

// On Redis Cluster the clock is that of the node which holds the session.
func TestTheClockOfACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("left out with -short")
	}
	cluster := storagetest.StartCluster(t, storagetest.Options{})
	db, err := redisdb.New(redisdb.Config{Client: cluster.Client(t, nil), Prefix: "opgrant:", Timeout: hang})
	if err != nil {
		t.Fatal(err)
	}
	tokens := &Tokens{db: db}
	for range 20 {
		key := sessionKey(NewSessionID(""))
		r, err := tokens.readSession(t.Context(), key, nil)
		if err != nil {
			t.Fatal(err)
		}
		if age := time.Since(time.UnixMilli(r.now)); age < -time.Minute || age > time.Minute {
			t.Errorf("Redis's clock says %s ago", age)
		}
	}
}

func TestSessionIDsOfDerivedSessions(t *testing.T) {
	id := NewSessionID("alice")
	first := sessionKey(id)
	for range maxParents {
		next, ok := DerivedSessionID(id)
		key, parsed := parseSessionID(next)
		if !ok || !parsed || key.tag() != first.tag() || key.parents()[0] != sessionKey(id).name() || !strings.HasSuffix(next, first.name()) {
			t.Fatalf("%s from %s", next, id)
		}
		id = next
	}
	if next, ok := DerivedSessionID(id); ok {
		t.Errorf("one too many: %s", next)
	}
	for _, bad := range []string{"", "x", id + "x", id[:50], strings.Repeat("}", 44), strings.Repeat("a", 44+5*22)} {
		if next, ok := DerivedSessionID(bad); ok {
			t.Errorf("%q: %s", bad, next)
		}
	}
}

// A subject whose user is kept elsewhere has no record here with a generation. A mark of its own ends its sessions, also those in
// no index, and no later one.
func TestSessionsOfOtherDirectoriesEndWithoutTheIndex(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		l := logIn(t, r)
		if err := l.store.Users.DropUser(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
		before, _ := l.open(NewSessionID("alice"))
		l.want("before", l.store, string(before), nil)
		if err := l.store.db.Client.Del(t.Context(), l.store.db.Keys.Sessions(before.tag())).Err(); err != nil {
			t.Fatal(err)
		}
		if err := l.store.RevokeSubject(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
		l.want("ended", l.store, string(before), fosite.ErrNotFound)
		if list, err := l.store.SessionsAt(t.Context(), "app"); err != nil || len(list) > 0 {
			t.Errorf("listed: %+v, %v", list, err)
		}
		later, _ := l.open(NewSessionID("alice"))
		l.want("a later one", l.store, string(later), nil)
	})
}
