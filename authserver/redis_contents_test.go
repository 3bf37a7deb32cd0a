package authserver_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestRedisAndTheLogHoldNoSecret(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		const password = "CANARY-password"
		ts.addUser("canary", password, true)
		secrets := []string{password, "wonder land", "web-secret", "old-secret", "wrong canary password"}
		for _, client := range []string{"web", "old", "strict"} {
			login := ts.try(client, "canary", password)
			next := ts.refresh(client, login.text("refresh_token"))
			for _, token := range []string{
				login.text("access_token"), login.text("refresh_token"), next.text("access_token"), next.text("refresh_token"),
			} {
				if token != "" {
					// The last part of a token is its secret: the session ID may be stored.
					secrets = append(secrets, token, token[strings.LastIndex(token, ".")+1:])
				}
			}
		}
		ts.try("web", "canary", "wrong canary password")
		stored := everything(t, ts.rdb)
		if !bytes.Contains(stored, []byte("alice")) || len(stored) < 1000 {
			t.Fatalf("the dump has %d bytes: the test would pass on anything", len(stored))
		}
		for _, secret := range secrets {
			if bytes.Contains(stored, []byte(secret)) {
				t.Errorf("Redis holds %.20s…", secret)
			}
			if strings.Contains(ts.log.String(), secret) {
				t.Errorf("the log holds %.20s…", secret)
			}
		}
	})
}

func TestASessionDoesNotGrowWithItsAccessTokens(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		token := ts.login("old").text("refresh_token")
		ts.refresh("old", token)
		for end := time.Now().Add(hang); ts.rdb.Exists(t.Context(), "opgrant:agents").Val() == 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the user agent is not stored")
			}
		}
		before := len(everything(t, ts.rdb))
		for range 30 {
			ts.refresh("old", token)
		}
		if after := len(everything(t, ts.rdb)); after > before+64 {
			t.Errorf("30 refreshes added %d bytes", after-before)
		}
	})
}

func TestEveryKeyOfASessionExpires(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		login := ts.login("web")
		ts.refresh("web", login.text("refresh_token"))
		ts.login("limited")
		ts.login("limited")
		ts.post("/oauth2/token", "web", "grant_type", "client_credentials")
		lasting := map[string]bool{"c": true, "u": true, "clients": true, "users": true, "{roles}": true, "{roles}:supers": true, "keys": true, "epoch": true}
		ctx := context.Background()
		keys, err := ts.rdb.Keys(ctx, "*").Result()
		check(t, err)
		sessions := 0
		for _, key := range keys {
			name := strings.TrimPrefix(key, "opgrant:")
			kind, _, _ := strings.Cut(name, ":")
			if lasting[name] || lasting[kind] {
				continue
			}
			sessions++
			if ttl := ts.rdb.PTTL(ctx, key).Val(); ttl <= 0 {
				t.Errorf("%s never expires", key)
			}
		}
		if sessions < 6 {
			t.Errorf("only %d keys of sessions", sessions)
		}
	})
}

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
