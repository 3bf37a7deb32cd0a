package authserver_test

import (
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func publicClientsRotate(t *testing.T) {
	w := onFake(t)
	first := w.login("app").text("refresh_token")
	second := w.refresh("app", first)
	if next := second.text("refresh_token"); second.status != 200 || next == "" || next == first {
		t.Errorf("%d %s", second.status, second.raw)
	}
}

func hundredAtOnce(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		for client, want := range map[string]int{"web": 100, "strict": 1} {
			token := w.login(client).text("refresh_token")
			replies := make([]reply, 100)
			var all sync.WaitGroup
			for i := range replies {
				all.Go(func() { replies[i] = w.refresh(client, token) })
			}
			all.Wait()
			good, successors := 0, map[string]bool{}
			for _, r := range replies {
				if r.status == 200 {
					good++
					successors[r.text("refresh_token")] = true
				}
			}
			if good != want || len(successors) != 1 {
				t.Errorf("%s: %d of 100 good with %d successors, want %d with 1", client, good, len(successors), want)
			}
		}
	})
}

func graceIsBounded(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, instance *storagetest.Instance) {
		grace := 30 * time.Second
		if instance.Server != nil { // its clock cannot be moved
			if os.Getenv("OPGRANT_TEST_FAULTS") == "" {
				t.Skip("waits: set OPGRANT_TEST_FAULTS=short or full")
			}
			grace = 2 * time.Second
		}
		w := newWorld(t, instance.Client(t))
		long, brief := storage.Duration(61*time.Second), storage.Duration(grace)
		if err := w.store.PutClient(t.Context(), &storage.Client{ID: "long", Public: true, Grace: &long, Grants: []string{"password"}}); err == nil {
			t.Error("a grace of 61s is accepted")
		}
		check(t, w.store.PutClient(t.Context(), &storage.Client{ID: "brief", Public: true, Grace: &brief, Grants: []string{"password", "refresh_token"}}))
		token := w.raw(http.MethodPost, "/oauth2/token", loginBody+"&client_id=brief").text("refresh_token")
		refresh := func(token string) reply {
			return w.raw(http.MethodPost, "/oauth2/token", "grant_type=refresh_token&client_id=brief&refresh_token="+token)
		}
		next := refresh(token)
		w.want("another client within the grace", w.refresh("web", token), 400, "invalid_grant")
		if again := refresh(token); again.text("refresh_token") != next.text("refresh_token") || again.text("access_token") != next.text("access_token") {
			t.Errorf("within the grace: %d %s", again.status, again.raw)
		}
		instance.Advance(grace + 500*time.Millisecond)
		w.want("after the grace", refresh(token), 400, "invalid_grant")
		w.want("successor after that", refresh(next.text("refresh_token")), 400, "invalid_grant")
	})
}

func usedStaysUsed(t *testing.T) {
	server := storagetest.StartRedis(t, storagetest.Options{AOF: storagetest.AOFAlways})
	w := newWorld(t, dial(t, server.Addr))
	used := w.login("strict").text("refresh_token")
	next := w.refresh("strict", used).text("refresh_token")
	revoked := w.login("web")
	w.post("/oauth2/revoke", "web", "token", revoked.text("access_token"))
	server.Kill()
	server.Restart(t)
	w.rdb = dial(t, server.Addr)
	w.store, w.keys = newStore(t, w.rdb)
	w.start(nil)
	if w.active(revoked.text("access_token")) {
		t.Error("a revoked access token is active again")
	}
	w.want("used token", w.refresh("strict", used), 400, "invalid_grant")
	w.want("its successor, after reuse", w.refresh("strict", next), 400, "invalid_grant")
}

func kindsAreKeptApart(t *testing.T) {
	w := onFake(t)
	standard, legacy := w.login("web"), w.login("old")
	for client, tokens := range map[string][]string{
		"web": {standard.text("access_token"), legacy.text("access_token"), legacy.text("refresh_token"), "ory_rt_abc.def", "x.y", "x.y.z"},
		"old": {legacy.text("access_token"), standard.text("access_token"), standard.text("refresh_token")},
	} {
		for _, token := range tokens {
			w.want(client+" with "+token, w.refresh(client, token), 400, "invalid_grant")
		}
	}
	for _, hint := range []string{"", "access_token", "refresh_token"} {
		for _, token := range []string{standard.text("refresh_token"), legacy.text("refresh_token")} {
			if r := w.post("/oauth2/introspect", "rs", "token", token, "token_type_hint", hint); r.raw != `{"active":false}` {
				t.Errorf("a resource server is told of a refresh token: %s", r.raw)
			}
		}
		if r := w.post("/oauth2/introspect", "web", "token", standard.text("refresh_token"), "token_type_hint", hint); r.text("token_use") != "refresh_token" || r.body["token_type"] != nil {
			t.Errorf("a refresh token looks like an access token to its client: %s", r.raw)
		}
	}
}

func accountsEndTokens(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		no := false
		for name, end := range map[string]func(user string) error{
			"disabled": func(user string) error {
				return w.store.Users.ChangeUser(t.Context(), user, storage.UserChange{Active: &no})
			},
			"dropped": func(user string) error { return w.store.Users.DropUser(t.Context(), user) },
		} {
			w.addUser(name, "word", true)
			standard, legacy := w.try("web", name, "word"), w.try("old", name, "word")
			check(t, end(name))
			for client, r := range map[string]reply{"web": standard, "old": legacy} {
				if w.active(r.text("access_token")) {
					t.Errorf("%s: an access token of %s is active", name, client)
				}
				w.want(name+" at "+client, w.refresh(client, r.text("refresh_token")), 400, "invalid_grant")
				exchange := w.post("/oauth2/token", "web", "grant_type", exchangeGrant, "subject_token", r.text("access_token"), "subject_token_type", typeAccess)
				w.want(name+", token exchange", exchange, 400, "invalid_request")
			}
		}
	})
}

func refreshTokensAreRandom(t *testing.T) {
	w := onFake(t)
	token := w.login("web").text("refresh_token")
	seen := map[string]bool{}
	bits := map[byte]int{}
	for range 400 {
		r := w.refresh("web", token)
		token = r.text("refresh_token")
		session, secret, _ := strings.Cut(token, ".")
		if len(session) != 44 || len(secret) != 43 || seen[secret] {
			t.Fatalf("token %q", token)
		}
		seen[secret] = true
		for i := range len(secret) - 1 { // the last character has four bits only
			bits[secret[i]]++
		}
	}
	for _, n := range bits { // 16 800 characters: 262 of each, with a deviation of 16
		if len(bits) != 64 || n < 262-6*16 || n > 262+6*16 {
			t.Fatalf("characters are not even: %v", bits)
		}
	}
}

func redisHoldsNoToken(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		const password, secret = "CANARY-password", "web-secret"
		w.addUser("canary", password, true)
		var secrets []string
		for _, client := range []string{"web", "old"} {
			login := w.try(client, "canary", password)
			again := w.refresh(client, login.text("refresh_token"))
			for _, r := range []reply{login, again} {
				for _, token := range []string{r.text("access_token"), r.text("refresh_token")} {
					if token != "" {
						secrets = append(secrets, token, token[strings.LastIndex(token, ".")+1:])
					}
				}
			}
		}
		secrets = append(secrets, password, secret)
		all := dump(t, w.rdb)
		if len(all) < 1000 {
			t.Fatalf("only %d bytes", len(all))
		}
		for _, s := range secrets {
			if strings.Contains(all, s) {
				t.Errorf("Redis holds %q", s)
			}
		}
	})
}

// dump is everything that Redis holds, as text.
func dump(t *testing.T, rdb redis.UniversalClient) string {
	t.Helper()
	ctx := t.Context()
	names, err := rdb.Keys(ctx, "*").Result()
	check(t, err)
	var all strings.Builder
	for _, name := range names {
		all.WriteString(name + "\n")
		var values []string
		switch kind := rdb.Type(ctx, name).Val(); kind {
		case "string":
			values = []string{rdb.Get(ctx, name).Val()}
		case "set":
			values = rdb.SMembers(ctx, name).Val()
		case "zset":
			values = rdb.ZRange(ctx, name, 0, -1).Val()
		case "hash":
			for k, v := range rdb.HGetAll(ctx, name).Val() {
				values = append(values, k, v)
			}
		default:
			t.Fatalf("%s is a %s", name, kind)
		}
		all.WriteString(strings.Join(values, "\n") + "\n")
	}
	return all.String()
}
