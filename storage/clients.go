package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"
)

// Clients is the registry of clients, and fosite's ClientManager. It is safe for concurrent use. A record may be served
// from memory for Options.ClientCache, so that a request costs no round trip for it; changes by this process show at once,
// changes by another one after that time.
type Clients struct {
	db    *db
	mutex sync.RWMutex
	cache map[string]cachedClient // :: client ID → record and when it was read
}

type cachedClient struct {
	client *Client
	until  time.Time
}

// maxCachedClients bounds the memory that lookups can take. Only clients that exist are cached.
const maxCachedClients = 10_000

var _ fosite.ClientManager = (*Clients)(nil)

// NewClients returns the client registry alone.
func NewClients(rdb redis.UniversalClient, options Options) (*Clients, error) {
	d, err := newDB(rdb, options)
	if err != nil {
		return nil, err
	}
	return &Clients{db: d}, nil
}

// GetClient implements fosite.ClientManager. fosite.ErrNotFound: there is no such client.
func (c *Clients) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	client, err := c.Client(ctx, id)
	if err != nil {
		return nil, err
	}
	return client, nil
}

// Client returns a client, or fosite.ErrNotFound. IDs are compared byte by byte.
func (c *Clients) Client(ctx context.Context, id string) (*Client, error) {
	now := time.Now()
	c.mutex.RLock()
	cached, ok := c.cache[id]
	c.mutex.RUnlock()
	if ok && now.Before(cached.until) {
		return cached.client, nil
	}
	client, err := c.read(ctx, id)
	if err != nil {
		if errors.Is(err, fosite.ErrNotFound) {
			c.forget(id)
		}
		return nil, err
	}
	c.remember(client, now)
	return client, nil
}

func (c *Clients) read(ctx context.Context, id string) (*Client, error) {
	var raw string
	err := c.db.do(ctx, "read client", func(ctx context.Context) error {
		var err error
		raw, err = c.db.rdb.Get(ctx, c.db.keys.client(id)).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return nil, c.db.missing(ctx, "read client")
	}
	if err != nil {
		return nil, err
	}
	return decodeClient(raw)
}

func decodeClient(raw string) (*Client, error) {
	stored := storedClient{}
	if err := json.Unmarshal([]byte(raw), &stored); err != nil {
		return nil, dontKnow("read client", fmt.Errorf("%w: %w", errRecord, err))
	}
	if stored.Version != recordVersion {
		return nil, dontKnow("read client", fmt.Errorf("%w: version %d", errRecord, stored.Version))
	}
	if stored.MaxSessionTTL == 0 {
		stored.MaxSessionTTL = stored.OldMaxSessionTTL
	}
	return stored.Client, nil
}

// storedClient is a client with the version of its form.
type storedClient struct {
	Version int `json:"v"`
	*Client
	// OldMaxSessionTTL is the name under which the first build stored MaxSessionTTL.
	OldMaxSessionTTL Duration `json:"max_session_life,omitzero"`
}

func (c *Clients) remember(client *Client, now time.Time) {
	if c.db.options.ClientCache <= 0 {
		return
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.cache == nil || len(c.cache) >= maxCachedClients {
		c.cache = make(map[string]cachedClient)
	}
	c.cache[client.ID] = cachedClient{client: client, until: now.Add(c.db.options.ClientCache)}
}

func (c *Clients) forget(id string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	delete(c.cache, id)
}

// PutClient stores a client, new or changed, after Validate.
func (c *Clients) PutClient(ctx context.Context, client *Client) error {
	if err := client.Validate(); err != nil {
		return err
	}
	raw, err := json.Marshal(storedClient{Version: recordVersion, Client: client})
	if err != nil {
		return fmt.Errorf("storage: encode client: %w", err)
	}
	defer c.forget(client.ID)
	if err := c.db.checkEpoch(ctx); err != nil {
		return dontKnow("store client", err)
	}
	return c.db.write(ctx, "store client", func(ctx context.Context) error {
		// The registry first: a crash between the two leaves a name without a record, which lists leave out.
		if err := c.db.rdb.SAdd(ctx, c.db.keys.clients(), client.ID).Err(); err != nil {
			return err
		}
		return c.db.rdb.Set(ctx, c.db.keys.client(client.ID), raw, 0).Err()
	})
}

// RemoveClient removes a client, or returns fosite.ErrNotFound. Its sessions get no further tokens from then on; Tokens'
// RevokeClient ends them altogether.
func (c *Clients) RemoveClient(ctx context.Context, id string) error {
	defer c.forget(id)
	var removed int64
	err := c.db.write(ctx, "remove client", func(ctx context.Context) error {
		var err error
		if removed, err = c.db.rdb.Del(ctx, c.db.keys.client(id)).Result(); err != nil {
			return err
		}
		return c.db.rdb.SRem(ctx, c.db.keys.clients(), id).Err()
	})
	if err == nil && removed == 0 {
		return c.db.missing(ctx, "remove client")
	}
	return err
}

// ListClients returns all clients, ordered by ID.
func (c *Clients) ListClients(ctx context.Context) ([]*Client, error) {
	var ids []string
	err := c.db.do(ctx, "list clients", func(ctx context.Context) error {
		var err error
		ids, err = c.db.rdb.SMembers(ctx, c.db.keys.clients()).Result()
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	var list []*Client
	for _, id := range ids {
		client, err := c.read(ctx, id)
		if errors.Is(err, fosite.ErrNotFound) && !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, client)
	}
	return list, nil
}

// ClientAssertionJWTValid implements fosite.ClientManager: fosite.ErrJTIKnown when the assertion was used before. Of two
// requests with one assertion both may pass here, and one is refused by SetClientAssertionJWT.
func (c *Clients) ClientAssertionJWTValid(ctx context.Context, jti string) error {
	var used int64
	err := c.db.do(ctx, "look up assertion", func(ctx context.Context) error {
		var err error
		used, err = c.db.rdb.Exists(ctx, c.db.keys.assertion(jti)).Result()
		return err
	})
	if err == nil && used == 1 {
		return fosite.ErrJTIKnown
	}
	return err
}

// SetClientAssertionJWT implements fosite.ClientManager: fosite.ErrJTIKnown when the assertion was used before (RFC 7523
// section 3).
func (c *Clients) SetClientAssertionJWT(ctx context.Context, jti string, expires time.Time) error {
	life := time.Until(expires)
	if life <= 0 {
		return fosite.ErrJTIKnown
	}
	fresh := call{script: claimScript, keys: []string{c.db.keys.assertion(jti)}, args: []any{randomID(), max(life.Milliseconds(), 1)}}
	reply, err := c.db.eval(ctx, "mark assertion", fresh)
	if err != nil {
		return err
	}
	if reply == int64(0) {
		return fosite.ErrJTIKnown
	}
	return nil
}

// claimScript sets a key for whoever comes first. The first one may ask again, when the reply was lost.
var claimScript = redis.NewScript(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) == ARGV[1] then return 1 end
return 0`)
