package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// Clients is the registry of clients, and fosite's ClientManager. It is safe for concurrent use. A client may be served from
// memory for Options.ClientCache: changes by this process show at once, changes by another one after that time. While the node of
// a Redis Cluster that has its record is silent, see Options.ShardOutage.
type Clients struct {
	db    *redisdb.DB
	cache clientCache

	origins clientOrigins
}

var _ fosite.ClientManager = (*Clients)(nil)

func newClients(db *redisdb.DB, o Options) *Clients {
	return &Clients{db: db, cache: clientCache{ttl: o.ClientCache, outage: o.ShardOutage, timeout: o.Timeout}, origins: newClientOrigins()}
}

// GetClient implements fosite.ClientManager. It returns fosite.ErrNotFound when there is no such client.
func (c *Clients) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	client, err := c.Client(ctx, id)
	if err != nil {
		return nil, err
	}
	return client, nil
}

// Client returns a client, or fosite.ErrNotFound. IDs are compared byte by byte.
func (c *Clients) Client(ctx context.Context, id string) (*Client, error) {
	known, fresh := c.cache.get(id, time.Now())
	if fresh {
		return known, nil
	}
	if known == nil || !c.db.Recent() { // nothing may be served unless Redis says so
		return c.readAnew(ctx, id)
	}
	asking, cancel := context.WithTimeout(ctx, c.cache.timeout/2) // the rest of the request needs time too
	client, err := c.readAnew(asking, id)
	cancel()
	if redisdb.Silent(err) && ctx.Err() == nil {
		if known := c.cache.silent(id); known != nil {
			return known, nil
		}
	}
	return client, err
}

// readAnew returns what Redis holds, and remembers it.
func (c *Clients) readAnew(ctx context.Context, id string) (*Client, error) {
	asked := time.Now()
	client, err := c.read(ctx, id)
	if err == nil {
		// A client of the same ID in another store has other secrets, and a right one would be refused.
		err = c.db.CheckFound(ctx, opReadClient)
	}
	switch {
	case err == nil:
		c.cache.remember(client, asked)
	case !redisdb.Silent(err) && !errors.Is(err, context.Canceled):
		c.cache.forget(id) // Redis has answered, and not with what is known
	}
	return client, err
}

const opReadClient = "read client"

func (c *Clients) read(ctx context.Context, id string) (*Client, error) {
	raw, found, err := c.raw(ctx, opReadClient, id)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, c.db.Missing(ctx, opReadClient)
	}
	return decodeClient(raw)
}

// raw returns the record of a client as it is stored. Whether Redis has lost one that is not there is not checked.
func (c *Clients) raw(ctx context.Context, op, id string) (raw string, found bool, err error) {
	err = c.db.Do(ctx, op, func(ctx context.Context) error {
		raw, err = c.db.Client.Get(ctx, c.db.Keys.Client(id)).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return "", false, nil
	}
	return raw, err == nil, err
}

func decodeClient(raw string) (*Client, error) {
	var stored storedClient
	if err := decodeRecord(opReadClient, raw, &stored, &stored.Version); err != nil {
		return nil, err
	}
	if stored.Client == nil { // a record without any member of a client
		return nil, unavailable.Error(opReadClient, unavailable.ErrRecord)
	}
	if stored.MaxSessionTTL == 0 {
		stored.MaxSessionTTL = stored.OldMaxSessionTTL
	}
	stored.Generation = stored.StoredGeneration
	return stored.Client, nil
}

// storedClient is a client with the version of its form.
type storedClient struct {
	Version int `json:"v"`
	*Client
	// OldMaxSessionTTL is the name under which the first build stores MaxSessionTTL. It is written too, so that servers of both
	// builds on one Redis agree.
	OldMaxSessionTTL Duration `json:"max_session_life,omitzero"`
	// StoredGeneration is Client.Generation, which is nobody's setting.
	StoredGeneration string `json:"generation,omitempty"`
}

func encodeClient(c *Client) ([]byte, error) {
	raw, err := json.Marshal(storedClient{
		Version: jsonVersion, Client: c, OldMaxSessionTTL: c.MaxSessionTTL, StoredGeneration: c.Generation,
	})
	if err != nil {
		return nil, fmt.Errorf("storage: encode client: %w", err)
	}
	return raw, nil
}

// PutClient stores a client, new or changed, after Validate.
func (c *Clients) PutClient(ctx context.Context, client *Client) error {
	if err := client.Validate(); err != nil {
		return err
	}
	defer c.origins.changed()
	const op = "store client"
	// The index first: a crash between the two leaves an ID without a client, which lists leave out.
	if _, err := c.db.Eval(ctx, op, redisdb.Command("SADD", c.db.Keys.Clients(), client.ID)); err != nil {
		return err
	}
	return c.edit(ctx, op, client.ID, func(stored *Client) (*Client, error) {
		changed := *client
		changed.Generation = newGeneration() // a client of the same ID that was removed is another client
		if stored != nil {
			changed.Generation = stored.Generation
		}
		return &changed, nil
	})
}

// newGeneration ends all sessions of a client, or returns fosite.ErrNotFound.
func (c *Clients) newGeneration(ctx context.Context, id string) error {
	const op = "end sessions of a client"
	return c.edit(ctx, op, id, func(stored *Client) (*Client, error) {
		if stored == nil {
			return nil, c.db.Missing(ctx, op)
		}
		changed := *stored
		changed.Generation = newGeneration()
		return &changed, nil
	})
}

// edit replaces the record of a client, from the start again if it changes meanwhile. change gets nil where there is none.
func (c *Clients) edit(ctx context.Context, op, id string, change func(stored *Client) (*Client, error)) error {
	defer c.cache.forget(id)
	for range 10 {
		raw, found, err := c.raw(ctx, op, id)
		var stored *Client
		if found {
			stored, err = decodeClient(raw)
		}
		if err != nil {
			return err
		}
		changed, err := change(stored)
		if err != nil {
			return err
		}
		after, err := encodeClient(changed)
		if err != nil {
			return err
		}
		swap := redisdb.Call{Script: swapScript, Keys: []string{c.db.Keys.Client(id)}, Args: []any{raw, after}}
		if done, err := c.db.Eval(ctx, op, swap); err != nil || done == int64(1) {
			return err
		}
	}
	return unavailable.Error(op, errContended)
}

// RemoveClient removes a client, or returns fosite.ErrNotFound. Its sessions get no further tokens from then on;
// Tokens.RevokeClient ends them.
func (c *Clients) RemoveClient(ctx context.Context, id string) error {
	defer c.cache.forget(id)
	defer c.origins.changed()
	const op = "remove client"
	removed, err := c.db.Eval(ctx, op, redisdb.Command("DEL", c.db.Keys.Client(id)))
	if err != nil {
		return err
	}
	if _, err := c.db.Eval(ctx, op, redisdb.Command("SREM", c.db.Keys.Clients(), id)); err != nil {
		return err
	}
	if removed == int64(0) {
		return fosite.ErrNotFound // the scripts have checked that Redis has lost nothing
	}
	return nil
}
