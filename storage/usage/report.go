package usage

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// Report is what all servers have counted.
type Report struct {
	// Since and Until say when the operations API was watched, without a gap of more than MaxGap. Both are zero if no server
	// has counted its calls. Until is up to a minute old while servers run.
	Since, Until time.Time
	// Entries are the callers: those of the operations API first, and within each client who came last first.
	Entries []Entry
}

// Report returns what all servers have counted. It removes from Redis the callers who had not come for Memory when a server last
// counted: the clock of the machine that asks for a report may be wrong.
func (c *Counter) Report(ctx context.Context) (Report, error) {
	const op = "read usage"
	var all map[string]string
	err := c.db.Do(ctx, op, func(ctx context.Context) error {
		var err error
		all, err = c.db.Client.HGetAll(ctx, c.db.Keys.Usage()).Result()
		return err
	})
	if err != nil {
		return Report{}, err
	}
	if len(all) == 0 {
		return Report{}, c.db.CheckEpoch(ctx, op)
	}
	report := Report{Since: parseTime(all[sinceField]), Until: parseTime(all[untilField])}
	if report.Since.IsZero() || report.Until.IsZero() {
		report.Since, report.Until = time.Time{}, time.Time{}
	}
	delete(all, sinceField)
	delete(all, untilField)
	callers := make(map[Caller]Entry, len(all)) // old and new names of an API taken together
	var old []any
	horizon := c.now().Add(-Memory)
	forgotten := horizon
	if !report.Until.IsZero() && report.Until.Add(-Memory).Before(horizon) {
		forgotten = report.Until.Add(-Memory)
	}
	for name, numbers := range all {
		e, err := parse(name, numbers)
		if err != nil || e.Last.Before(forgotten) {
			old = append(old, name, numbers)
			continue
		}
		if e.Last.Before(horizon) {
			continue
		}
		callers[e.Caller] = sum(callers[e.Caller], e)
	}
	if err := c.forget(ctx, old); err != nil {
		return Report{}, err
	}
	for _, e := range callers {
		report.Entries = append(report.Entries, e)
	}
	slices.SortFunc(report.Entries, compare)
	return report, nil
}

// parseTime reads a time in milliseconds. Zero: there is none.
func parseTime(text string) time.Time {
	at, err := strconv.ParseInt(text, 10, 64)
	if err != nil || at <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(at).UTC()
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
//	twice finds the fields removed
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
