package faults_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// population is what fills a Redis with sessions.
type population struct {
	open   func(ctx context.Context, i int) error         // session number i
	rotate func(ctx context.Context, i, number int) error // it, for the number-th time; nil: its refresh token is static
	part   func(key string) string                        // what a key is for
}

// memoryCase is a kind of session. most bounds the bytes of one by used_memory, after any number of rotations; 0: no bound, it is
// for comparison.
type memoryCase struct {
	name      string
	prepare   func(t *testing.T, rdb redis.UniversalClient, n int) population
	million   bool  // it is measured at a million sessions too
	compared  bool  // it is the layout of another store
	few, most int64 // at a few thousand sessions, which share no indexes, and at 100,000 and more
}

var memoryCases = []memoryCase{
	{"operations API", operationsSessions, true, false, 600, 300},
	{"standard", standardSessions, true, false, 600, 300},
	{"opaque, stock fosite", stockSessions, false, false, 0, 0},
	{"go-oauth2, access token a JWT", goOAuth2Sessions(jwtAccess), false, true, 0, 0},
	{"go-oauth2, opaque", goOAuth2Sessions(opaqueAccess), false, true, 0, 0},
	{"fosite, a record per token", fositeSessions, false, true, 0, 0},
}

// What a session costs in Redis, by used_memory and by MEMORY USAGE of each kind of key, just logged in and after rotations, and
// what the layouts of other stores cost with the same content. ARCHITECTURE.md has the table that it prints.
//
// The rotations are made by some of the sessions. The row of those is the row after the login and the growth of these.
func TestMemoryPerSession(t *testing.T) {
	var table strings.Builder
	fmt.Fprintf(&table, "\n| session | rotations | sessions | bytes (used_memory) | bytes (MEMORY USAGE) | keys | of them, by the first letter of the key: keys × bytes |\n")
	fmt.Fprintf(&table, "|---|---|---|---|---|---|---|\n")
	for _, c := range memoryCases {
		if c.compared && !full() {
			continue
		}
		sizes := scale([]int{4_000}, []int{100_000})
		if c.million && full() {
			sizes = append(sizes, 1_000_000)
		}
		for _, n := range sizes {
			t.Run(fmt.Sprintf("%s/%d", c.name, n), func(t *testing.T) { c.measure(t, n, &table) })
		}
	}
	t.Log(table.String())
}

func (c memoryCase) measure(t *testing.T, n int, table *strings.Builder) {
	srv := storagetest.StartRedis(t, storagetest.Options{})
	admin, ctx := srv.Client(t), t.Context()
	p := c.prepare(t, standalone(t, srv.Addr)(), n+1)
	// One session for what is stored once: scripts, connections, the index of a client.
	if err := p.open(ctx, n); err != nil {
		t.Fatal(err)
	}
	if p.rotate != nil {
		if err := p.rotate(ctx, n, 1); err != nil {
			t.Fatal(err)
		}
	}
	before := measure(t, admin, p.part)
	eachOf(t, n, func(i int) error { return p.open(ctx, i) })
	loggedIn := measure(t, admin, p.part)
	login := loggedIn.minus(before).each(n)
	row := func(rotations string, per cost) {
		fmt.Fprintf(table, "| %s | %s | %d | %.0f | %.0f | %.2f | %s |\n", c.name, rotations, n, per.used, per.bytes(), per.keys(), per.parts)
		most := c.most
		if n < 100_000 {
			most = c.few
		}
		if most > 0 && per.used > float64(most) {
			t.Errorf("%s rotations: %.0f bytes a session, want at most %d", rotations, per.used, most)
		}
	}
	if p.rotate == nil {
		row("any", login)
		return
	}
	row("0", login)
	per, last, done := login, loggedIn, 0
	for _, step := range []struct{ rotations, sessions int }{{1, scale(100, 1000)}, {10, scale(100, 1000)}, {256, scale(10, 100)}} {
		eachOf(t, step.sessions, func(i int) error {
			for k := done + 1; k <= step.rotations; k++ {
				if err := p.rotate(ctx, i, k); err != nil {
					return err
				}
			}
			return nil
		})
		done = step.rotations
		awaitNoAnswers(t, admin)
		now := measure(t, admin, p.part)
		grown := now.minus(last)
		grown.used -= grown.tables // which belong to all sessions
		per, last = per.plus(grown.each(step.sessions)), now
		row(fmt.Sprint(done), per)
	}
}

// awaitNoAnswers waits for the end of the grace, after which no answer is kept.
func awaitNoAnswers(t *testing.T, admin *redis.Client) {
	t.Helper()
	until(t, "no answer to a refresh is left", func() bool {
		keys := admin.Scan(t.Context(), 0, "opgrant:a:*", 1000).Iterator()
		return !keys.Next(t.Context())
	})
}

// operationsSessions are sessions as package authserver makes them for the operations API: JWTs, and a static refresh token.
func operationsSessions(t *testing.T, rdb redis.UniversalClient, n int) population {
	s := nativeSessions(t, rdb, n, &storage.Client{ID: "operations", Public: true, Grants: []string{"password"}, Profile: "legacy", Refresh: "static"})
	return population{open: s.open, part: ownPart}
}

// standardSessions are sessions as package authserver makes them: the access tokens are JWTs, the refresh token rotates.
func standardSessions(t *testing.T, rdb redis.UniversalClient, n int) population {
	grace := storage.Duration(time.Second)
	s := nativeSessions(t, rdb, n, &storage.Client{ID: "reporting", Public: true, Grants: []string{"password"}, Grace: &grace})
	return population{open: s.open, rotate: s.rotate, part: ownPart}
}

// ownPart names a key of this store by its first letter.
func ownPart(key string) string {
	key = strings.TrimPrefix(key, "opgrant:")
	return key[:strings.IndexAny(key+":", ":{")]
}
