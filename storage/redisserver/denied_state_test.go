package redisserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/internal/password/passwordtest"
	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/storagetest"
	"github.com/opgrant/opgrant/storage/throttle"
	"github.com/opgrant/opgrant/storage/usage"
)

// fixture is a store with what the operations on it need.
type fixture struct {
	t       *testing.T
	ctx     context.Context
	admin   *redis.Client
	client  *redis.Client
	denier  *denier
	store   *storage.Store // whose scripts fail
	counter *usage.Counter
	attempt throttle.Attempt
	tokens  map[string]string    // of sessions: name → signature
	ids     map[string]string    // of sessions: name → ID
	minted  int                  // how many tokens were made
	answers map[string][2]string // to refreshes: answer → the tokens in it
	codes   []string             // signatures
	names   []string             // who may log in
	secrets []string             // their passwords
}

// newFixture empties Redis.
func newFixture(t *testing.T, addr string, admin *redis.Client) *fixture {
	t.Helper()
	if err := admin.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	w := &fixture{t: t, ctx: t.Context(), admin: admin, tokens: map[string]string{}, ids: map[string]string{}, answers: map[string][2]string{}}
	w.denier = &denier{used: map[*redisdb.Script]bool{}}
	client := redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true,
		DialTimeout: hang, ReadTimeout: hang, PoolTimeout: hang, DisableIdentity: true, PoolSize: 4,
	})
	client.AddHook(w.denier)
	w.client, w.store = client, slowStore(t, client)
	w.counter = w.store.NewUsageCounter()
	return w
}

// slowStore returns a store that forgets no failed login while a test runs.
func slowStore(t *testing.T, client redis.UniversalClient) *storage.Store {
	t.Helper()
	s, err := storage.New(client, storage.Options{
		Timeout: hang, Password: passwordtest.Cheap, Throttle: throttle.Limits{Window: 24 * time.Hour, UserWindow: 24 * time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *fixture) close() { _ = w.client.Close() }

// settled is the state when nothing happens in the background any more.
func (w *fixture) settled(s *storage.Store) string {
	state, same := w.state(s), 0
	for same < 3 {
		time.Sleep(50 * time.Millisecond)
		next := w.state(s)
		if same++; next != state {
			state, same = next, 0
		}
	}
	return state
}

func (w *fixture) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// state is what anybody can see of the store, one thing a line. It changes nothing.
func (w *fixture) state(s *storage.Store) string {
	w.t.Helper()
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for key, n := range w.contents() {
		add("%d of %s", n, key)
	}
	users, err := s.Users.ListUsers(w.ctx)
	w.must(err)
	for _, u := range users {
		add("user %s role %q active %v super %v %s", u.Name, u.Role, u.Active, u.SuperUser, u.Scheme)
	}
	roles, err := s.Users.ListRoles(w.ctx)
	w.must(err)
	for _, r := range roles {
		add("role %s %s %s", r.ID, r.Name, r.Permission)
	}
	clients, err := s.ListClients(w.ctx)
	w.must(err)
	for _, c := range clients {
		record, err := json.Marshal(c) // without the generation
		w.must(err)
		add("client %s", record)
		sessions, err := s.SessionsAt(w.ctx, c.ID)
		w.must(err)
		for _, session := range sessions {
			add("session at %s of %s, refreshable %v", session.Client, session.Subject, session.Refreshable)
		}
	}
	for _, subject := range []string{"alice", "bob"} {
		sessions, err := s.SessionsOf(w.ctx, subject)
		w.must(err)
		for _, session := range sessions {
			add("session of %s at %s, refreshable %v", session.Subject, session.Client, session.Refreshable)
		}
		_, known, err := s.Users.Throttle().ListUser(w.ctx, subject)
		w.must(err)
		for _, k := range known {
			add("%s is known in %s", subject, k.Network)
		}
	}
	counted, err := s.Users.Throttle().List(w.ctx)
	w.must(err)
	for _, e := range counted { // not how many: an attempt that is repeated is another one
		add("counted %s %s %q, in flight %d", e.Kind, e.Name, e.Network, e.InFlight)
	}
	for name, signature := range w.tokens {
		add("token %s: %s", name, w.token(s, name, signature))
	}
	for _, signature := range w.codes {
		add("code %s", w.codeState(s, signature))
	}
	issuerKeys, err := s.ListIssuerKeys(w.ctx)
	w.must(err)
	add("%d keys of issuers", len(issuerKeys))
	document, _, err := s.Keys.LoadKeys(w.ctx)
	w.must(err)
	add("keys %s", document)
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// checkRights fails the test if a user has more rights than the user's role says.
func (w *fixture) checkRights(s *storage.Store) {
	w.t.Helper()
	users, err := s.Users.ListUsers(w.ctx)
	w.must(err)
	for _, u := range users {
		if role, err := s.Users.Role(w.ctx, u.Role); u.SuperUser && string(role.Permission) != superUser {
			w.t.Errorf("%s is a super user by role %q, which says %q (%v)", u.Name, u.Role, role.Permission, err)
		}
	}
}

// token tells whether a token is good. The names of access tokens begin with an a.
func (w *fixture) token(s *storage.Store, name, signature string) string {
	get := s.GetRefreshTokenSession
	if name[0] == 'a' {
		get = s.GetAccessTokenSession
	}
	_, err := get(w.ctx, signature, &storagetest.Session{})
	switch {
	case err == nil:
		return "good"
	case errors.Is(err, fosite.ErrInactiveToken):
		return "used"
	case errors.Is(err, fosite.ErrNotFound) && !errors.Is(err, fosite.ErrTemporarilyUnavailable):
		return "unknown"
	}
	return err.Error()
}

// after is what can be seen only by trying: who can log in, and what was counted.
func (w *fixture) after(s *storage.Store) string {
	w.t.Helper()
	var lines []string
	for _, name := range w.names {
		for _, password := range w.secrets {
			user, err := s.Users.VerifyPassword(w.ctx, name, password, "203.0.113.1")
			lines = append(lines, fmt.Sprintf("login of %s with %s: role %q super %v, %v", name, password, user.Role, user.SuperUser, err))
		}
	}
	report, err := w.counter.Report(w.ctx)
	w.must(err)
	lines = append(lines, fmt.Sprintf("operations counted: %v", !report.Since.IsZero()))
	for _, e := range report.Entries {
		lines = append(lines, fmt.Sprintf("called: %+v %d", e.Caller, e.Count))
	}
	return strings.Join(lines, "\n")
}

// withoutTTL are the kinds of keys that do not expire.
var withoutTTL = []string{"c", "u", "clients", "users", "kinds", "{roles}", "{roles}:supers", "issuers", "keys", "epoch"}

// uncounted are indexes of sessions, which may name some that have ended, and pointers of an attempt that failed. What they are for,
// the lists and the tokens show.
var uncounted = []string{"i", "e", "i:", "e:", "p", "r"}

// contents counts the keys of each kind and their members.
func (w *fixture) contents() map[string]int64 {
	w.t.Helper()
	found := make(map[string]int64)
	all, err := w.admin.Keys(w.ctx, "*").Result()
	w.must(err)
	for _, key := range all {
		kind := kindOf(key)
		if ttl := w.admin.PTTL(w.ctx, key).Val(); ttl < 0 && !slices.Contains(withoutTTL, kind) {
			found["keys without a TTL: "+kind]++
		}
		if slices.Contains(uncounted, kind) {
			continue
		}
		found["keys "+kind]++
		switch w.admin.Type(w.ctx, key).Val() {
		case "set":
			found["members of "+kind] += w.admin.SCard(w.ctx, key).Val()
		case "zset":
			found["members of "+kind] += w.admin.ZCard(w.ctx, key).Val()
		case "hash":
			found["members of "+kind] += w.admin.HLen(w.ctx, key).Val()
		}
	}
	return found
}
