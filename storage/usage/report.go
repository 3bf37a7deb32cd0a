package usage

import (
	"context"
	"slices"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// Report returns what all servers have counted: the operations API first, and within each client the caller who came last
// first. It removes from Redis the callers who have not come for 90 days.
func (c *Counter) Report(ctx context.Context) ([]Entry, error) {
	const op = "read usage"
	var all map[string]string
	err := c.db.Do(ctx, op, func(ctx context.Context) error {
		var err error
		all, err = c.db.Client.HGetAll(ctx, c.db.Keys.Usage()).Result()
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, c.db.CheckEpoch(ctx, op)
	}
	callers := make(map[string]Entry, len(all)) // :: field → entry, old and new names of an API taken together
	var old []any
	horizon := c.now().Add(-memory)
	for name, numbers := range all {
		e, err := parse(name, numbers)
		if err != nil || e.Last.Before(horizon) {
			old = append(old, name, numbers)
			continue
		}
		key := field(e.API, e.Client, e.User, e.UserAgent)
		callers[key] = sum(callers[key], e)
	}
	if err := c.forget(ctx, old); err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(callers))
	for _, e := range callers {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, compare)
	return entries, nil
}

// sum adds two entries of one caller. The first may be zero.
func sum(a, b Entry) Entry {
	if a.Count == 0 {
		return b
	}
	b.Count += a.Count
	if a.First.Before(b.First) {
		b.First = a.First
	}
	if a.Last.After(b.Last) {
		b.Last = a.Last
	}
	return b
}

// forgetScript removes fields that are as they were read.
//
//	KEYS  1 the hash
//	ARGV  field and value in turn
//	reply 1
var forgetScript = redisdb.NewScript(`
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return 1`)

func (c *Counter) forget(ctx context.Context, old []any) error {
	for chunk := range slices.Chunk(old, 2*chunkSize) {
		call := redisdb.Call{Script: forgetScript, Keys: []string{c.db.Keys.Usage()}, Args: chunk}
		if _, err := c.db.Eval(ctx, "forget usage", call); err != nil {
			return err
		}
	}
	return nil
}
