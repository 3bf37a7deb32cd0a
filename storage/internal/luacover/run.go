package luacover

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// Run tests all scripts of the package in the working directory, and prints which branches ran. Scripts returns them for the time
// that Redis tells them, in ms. It stands still 450.123 ms after a full second, so that all runs round alike. The scripts named in
// except need no table. Without redis-server the test is skipped, or fails, as in package storagetest.
func Run(t *testing.T, scripts func(now int64) []Script, except ...string) {
	now := time.Now().Unix()*1000 + 450
	list := scripts(now)
	checkDeclared(t, list, except)
	client := storagetest.StartRedis(t, storagetest.Options{}).Client(t)
	r := report{hits: make(map[string]int)}
	for _, s := range list {
		var source string
		for _, p := range s.parts(t) {
			instrumented, branches, err := instrument(p.name, p.source)
			if err != nil {
				t.Fatalf("%s: %v", s.Name, err)
			}
			source += instrumented
			r.add(p.name, branches)
		}
		t.Run(s.Name, func(t *testing.T) {
			for _, c := range s.Cases {
				t.Run(c.Name, func(t *testing.T) { c.run(t, runner{client, source, now, s, r.hits}) })
			}
			if len(s.Cases) == 0 {
				t.Error("the table is empty")
			}
		})
	}
	t.Log("\n" + r.table())
	if strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
		return // of some cases only
	}
	for _, b := range r.missed() {
		t.Errorf("no case reaches %s", b)
	}
}

type part struct{ name, source string }

// parts returns the files of the script, which must make up what Redis runs.
func (s Script) parts(t *testing.T) []part {
	if len(s.Parts) == 0 {
		return []part{{s.Name, s.Source}}
	}
	var list []part
	var all string
	for _, name := range s.Parts {
		raw, err := os.ReadFile(name) // #nosec G304 -- a file of the package under test
		if err != nil {
			t.Fatal(err)
		}
		list, all = append(list, part{name, string(raw)}), all+string(raw)
	}
	if all != s.Source {
		t.Fatalf("%s is not made up of %s", s.Name, strings.Join(s.Parts, " and "))
	}
	return list
}

// runner runs one script.
type runner struct {
	client *redis.Client
	source string // with counters
	now    int64
	script Script
	hits   map[string]int
}

func (c Case) run(t *testing.T, r runner) {
	c.prepare(t, r)
	want := snapshot{c.After, c.TTL}
	if c.After == nil {
		want = r.state(t)
	}
	c.once(t, r, "", want, c.Reply)
	if c.Once != "" || t.Failed() {
		return
	}
	again := c.Reply
	if c.Again != nil {
		again = c.Again
	}
	c.once(t, r, "second run: ", want, again)
	if !r.script.Completes || c.Error != "" {
		return
	}
	for fail := 1; !t.Failed(); fail++ {
		c.prepare(t, r)
		_, err := r.client.Eval(context.Background(), prologue(r.now, fail)+r.source, c.Keys, c.Args...).Result()
		if err == nil || !strings.Contains(err.Error(), interrupted) {
			return // it has not so many commands
		}
		r.count(t)
		c.once(t, r, fmt.Sprintf("second run after command %d has failed: ", fail), want, again, c.Reply)
	}
}

// prepare makes the state before.
func (c Case) prepare(t *testing.T, r runner) {
	t.Helper()
	if err := r.client.FlushAll(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	for _, command := range c.Before {
		if err := r.client.Do(context.Background(), command...).Err(); err != nil {
			t.Fatalf("%v: %v", command, err)
		}
	}
}

// once runs the script once, and expects one of the replies.
func (c Case) once(t *testing.T, r runner, which string, after snapshot, replies ...any) {
	t.Helper()
	ctx := context.Background()
	reply, err := r.client.Eval(ctx, prologue(r.now, 0)+r.source, c.Keys, c.Args...).Result()
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	switch {
	case c.Error == "" && err != nil:
		t.Errorf("%serror %v", which, err)
	case c.Error != "" && (err == nil || !strings.HasPrefix(err.Error(), c.Error)):
		t.Errorf("%serror %v, want %s", which, err, c.Error)
	case c.Error == "" && !slices.ContainsFunc(replies, func(want any) bool { return cmp.Equal(plain(want), reply) }):
		t.Errorf("%sreply (-want +got):\n%s", which, cmp.Diff(plain(replies[0]), reply))
	}
	r.count(t)
	if diff := after.diff(r.state(t)); diff != "" {
		t.Errorf("%sstate (-want +got):\n%s", which, diff)
	}
}

// state reads all of Redis.
func (r runner) state(t *testing.T) snapshot {
	t.Helper()
	found := readState(t, r.client)
	for key, decode := range r.script.Decode {
		if raw, ok := found.state[key].(string); ok {
			found.state[key] = decode(raw)
		}
	}
	return found
}

// count moves the counters of the last run from Redis to hits.
func (r runner) count(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	counters, err := r.client.HGetAll(ctx, coverKey).Result()
	if err == nil {
		err = r.client.Del(ctx, coverKey).Err()
	}
	if err != nil {
		t.Fatal(err)
	}
	for field := range counters {
		r.hits[field]++
	}
}

// plain returns a reply as go-redis decodes it.
func plain(reply any) any {
	switch v := reply.(type) {
	case int:
		return int64(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	}
	return reply
}
