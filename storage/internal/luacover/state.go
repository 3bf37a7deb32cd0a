package luacover

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// State is what Redis holds: for each key a string, a Hash, a Set or Scores.
type State map[string]any

// Hash is the value of a hash.
type Hash map[string]string

// Set is the value of a set, sorted.
type Set []string

// Scores is the value of a sorted set.
type Scores map[string]float64

// snapshot is a state with the TTLs of those keys that have one.
type snapshot struct {
	state State
	ttl   map[string]time.Duration
}

// slack is by how much a TTL may differ from the expected one, since time passes while a test runs.
const slack = 5 * time.Minute

// diff compares the expected snapshot with one that was read.
func (want snapshot) diff(got snapshot) string {
	text := cmp.Diff(want.state, got.state)
	for _, key := range slices.Sorted(maps.Keys(got.state)) {
		w, has := want.ttl[key]
		g, does := got.ttl[key]
		if has != does || (g-w).Abs() > slack {
			text += fmt.Sprintf("TTL of %s: %v, want %v\n", key, g, w)
		}
	}
	return text
}

// readState reads all of Redis.
func readState(t *testing.T, client *redis.Client) snapshot {
	t.Helper()
	ctx := context.Background()
	found := snapshot{State{}, make(map[string]time.Duration)}
	keys, err := client.Keys(ctx, "*").Result()
	for _, key := range keys {
		if err == nil {
			err = found.read(ctx, client, key)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (s snapshot) read(ctx context.Context, client *redis.Client, key string) error {
	kind, err := client.Type(ctx, key).Result()
	if err != nil {
		return err
	}
	if s.ttl[key], err = client.PTTL(ctx, key).Result(); err != nil {
		return err
	}
	if s.ttl[key] < 0 {
		delete(s.ttl, key)
	}
	switch kind {
	case "string":
		s.state[key], err = client.Get(ctx, key).Result()
	case "hash":
		var v map[string]string
		v, err = client.HGetAll(ctx, key).Result()
		s.state[key] = Hash(v)
	case "set":
		var v []string
		v, err = client.SMembers(ctx, key).Result()
		slices.Sort(v)
		s.state[key] = Set(v)
	case "zset":
		var v []redis.Z
		v, err = client.ZRangeWithScores(ctx, key, 0, -1).Result()
		scores := Scores{}
		for _, z := range v {
			scores[z.Member.(string)] = z.Score
		}
		s.state[key] = scores
	default:
		err = fmt.Errorf("luacover: %s is a %s", key, kind)
	}
	return err
}
