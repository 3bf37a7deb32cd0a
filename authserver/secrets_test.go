package authserver_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// everything returns what Redis holds under all its keys, names included, as text and as DUMP.
func everything(t *testing.T, rdb redis.UniversalClient) []byte {
	t.Helper()
	var all bytes.Buffer
	ctx := context.Background()
	keys, err := rdb.Keys(ctx, "*").Result()
	check(t, err)
	for _, key := range keys {
		all.WriteString(key + "\n")
		kind, err := rdb.Type(ctx, key).Result()
		check(t, err)
		switch kind {
		case "string":
			all.WriteString(rdb.Get(ctx, key).Val())
		case "hash":
			for name, value := range rdb.HGetAll(ctx, key).Val() {
				all.WriteString(name + "\n" + value)
			}
		case "zset":
			all.WriteString(strings.Join(rdb.ZRange(ctx, key, 0, -1).Val(), "\n"))
		case "set":
			all.WriteString(strings.Join(rdb.SMembers(ctx, key).Val(), "\n"))
		default:
			t.Fatalf("a key of type %s", kind)
		}
		all.WriteString(rdb.Dump(ctx, key).Val())
	}
	return all.Bytes()
}

func TestRedisAndTheLogHoldNothingThatOpensADoor(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		canaries := []string{"wonder land", "web-secret", "old-secret", "wrong canary password"}
		for _, client := range []string{"web", "old", "strict"} {
			r := w.login(client)
			canaries = append(canaries, r.text("access_token"), r.text("refresh_token"))
			next := w.refresh(client, r.text("refresh_token"))
			canaries = append(canaries, next.text("access_token"))
			if rotated := next.text("refresh_token"); rotated != "" {
				_, secret, _ := strings.Cut(rotated, ".")
				canaries = append(canaries, rotated, secret)
			}
		}
		w.post("/oauth2/token", "web", "grant_type", "password", "username", "alice", "password", "wrong canary password")
		stored := everything(t, w.rdb)
		if !bytes.Contains(stored, []byte("alice")) {
			t.Fatal("the dump shows nothing: the test would pass on anything")
		}
		for _, canary := range canaries {
			if canary == "" {
				continue
			}
			if bytes.Contains(stored, []byte(canary)) {
				t.Errorf("Redis holds %.20s…", canary)
			}
			if strings.Contains(w.log.String(), canary) {
				t.Errorf("the log holds %.20s…", canary)
			}
		}
	})
}

func TestARevokedAccessTokenGoesAlone(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		login := w.login("web")
		next := w.refresh("web", login.text("refresh_token"))
		if r := w.post("/oauth2/revoke", "web", "token", login.text("access_token")); r.status != http.StatusOK {
			t.Fatalf("%d %s", r.status, r.raw)
		}
		if w.active(login.text("access_token")) || !w.active(next.text("access_token")) {
			t.Error("not that token, or not that alone")
		}
		again := w.refresh("web", next.text("refresh_token"))
		if again.status != http.StatusOK || w.active(login.text("access_token")) {
			t.Errorf("after a refresh: %d, revoked token active: %v", again.status, w.active(login.text("access_token")))
		}
		w.post("/oauth2/revoke", "other", "token", again.text("access_token"))
		if !w.active(again.text("access_token")) {
			t.Error("a client revoked another one's token")
		}
	})
}

func TestASessionDoesNotGrowWithItsAccessTokens(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		token := w.login("old").text("refresh_token")
		w.refresh("old", token)
		before := len(everything(t, w.rdb))
		for range 30 {
			w.refresh("old", token)
		}
		if after := len(everything(t, w.rdb)); after > before+64 {
			t.Errorf("30 refreshes added %d bytes", after-before)
		}
	})
}

func TestEveryKeyOfASessionExpires(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		login := w.login("web")
		w.refresh("web", login.text("refresh_token"))
		w.login("limited")
		w.login("limited")
		w.post("/oauth2/token", "web", "grant_type", "client_credentials")
		lasting := map[string]bool{"c": true, "u": true, "clients": true, "users": true, "{roles}": true, "{roles}:supers": true, "keys": true, "epoch": true}
		ctx := context.Background()
		keys, err := w.rdb.Keys(ctx, "*").Result()
		check(t, err)
		sessions := 0
		for _, key := range keys {
			name := strings.TrimPrefix(key, "opgrant:")
			kind, _, _ := strings.Cut(name, ":")
			if lasting[name] || lasting[kind] {
				continue
			}
			sessions++
			if ttl := w.rdb.PTTL(ctx, key).Val(); ttl <= 0 {
				t.Errorf("%s lives for ever", key)
			}
		}
		if sessions < 6 {
			t.Errorf("only %d keys of sessions were looked at", sessions)
		}
	})
}
