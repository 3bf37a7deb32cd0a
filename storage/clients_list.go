package storage

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// ListClients returns all clients, ordered by ID.
func (c *Clients) ListClients(ctx context.Context) ([]*Client, error) {
	records, err := c.records(ctx, "list clients")
	if err != nil {
		return nil, err
	}
	var list []*Client
	for _, raw := range records {
		client, err := decodeClient(raw)
		if err != nil {
			return nil, err
		}
		list = append(list, client)
	}
	return list, nil
}

// recordsAtOnce is how many records one pipeline reads.
const recordsAtOnce = 100

// records returns all clients as they are stored, ordered by ID.
func (c *Clients) records(ctx context.Context, op string) ([]string, error) {
	var ids []string
	err := c.db.Do(ctx, op, func(ctx context.Context) error {
		var err error
		ids, err = c.db.Client.SMembers(ctx, c.db.Keys.Clients()).Result()
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	var list []string
	for some := range slices.Chunk(ids, recordsAtOnce) {
		found := make([]*redis.StringCmd, len(some))
		err := c.db.Do(ctx, op, func(ctx context.Context) error {
			pipe := c.db.Client.Pipeline()
			commands := make([]redis.Cmder, len(some))
			for i, id := range some {
				found[i] = pipe.Get(ctx, c.db.Keys.Client(id))
				commands[i] = found[i]
			}
			_, err := pipe.Exec(ctx)
			return redisdb.FirstError(err, commands...)
		})
		if err != nil {
			return nil, err
		}
		for _, record := range found {
			if record.Err() == nil { // an ID without a client, see PutClient
				list = append(list, record.Val())
			}
		}
	}
	return list, c.db.CheckEpoch(ctx, op)
}
