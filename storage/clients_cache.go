package storage

import (
	"sync"
	"time"
)

// clientCache remembers the clients that were read, for a short time, and for longer while Redis cannot tell whether they have
// changed. The zero value remembers nothing.
type clientCache struct {
	ttl, outage, timeout time.Duration // Options.ClientCache, ShardOutage and Timeout

	mutex   sync.Mutex
	clients map[string]*cachedClient // by ID
	// forgotten is when a client was last forgotten. What Redis was asked before may be what it held before.
	forgotten time.Time
}

type cachedClient struct {
	client *Client
	read   time.Time // when Redis was asked
	until  time.Time // served without asking
	silent bool      // Redis did not answer when it was asked last
}

const (
	// maxCachedClients bounds the memory of the cache. Only clients that exist are cached.
	maxCachedClients = 10_000
	// clientRetry is how often a silent node is asked for a client.
	clientRetry = time.Second
)

// get returns what is known of a client: nil for nothing. If it is not fresh, it is for a caller who has asked Redis in vain. While
// the node is silent one caller at a time is told to ask, because each would wait for it.
func (c *clientCache) get(id string, now time.Time) (known *Client, fresh bool) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	k := c.clients[id]
	if k == nil {
		return nil, false
	}
	if now.Before(k.until) {
		return k.client, true
	}
	if !now.Before(k.read.Add(c.outage)) {
		return nil, false
	}
	if k.silent {
		c.extend(k, now)
	}
	return k.client, false
}

// silent notes that the node of a client did not answer, and returns the client if it was read less than the bound ago.
func (c *clientCache) silent(id string) *Client {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	k, now := c.clients[id], time.Now()
	if k == nil || !now.Before(k.read.Add(c.outage)) {
		return nil
	}
	k.silent = true
	c.extend(k, now)
	return k.client
}

// extend serves a client until Redis is to be asked again. The mutex is held.
func (c *clientCache) extend(k *cachedClient, now time.Time) {
	k.until = now.Add(min(clientRetry, c.ttl))
	if end := k.read.Add(c.outage); end.Before(k.until) {
		k.until = end
	}
}

func (c *clientCache) remember(client *Client, asked time.Time) {
	if c.ttl <= 0 {
		return
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.clients == nil || len(c.clients) >= maxCachedClients {
		c.clients = make(map[string]*cachedClient)
	}
	if !asked.After(c.forgotten) {
		return
	}
	if k := c.clients[client.ID]; k != nil && k.read.After(asked) {
		return // a later answer came first
	}
	c.clients[client.ID] = &cachedClient{client: client, read: asked, until: asked.Add(c.ttl)}
}

func (c *clientCache) forget(id string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	delete(c.clients, id)
	c.forgotten = time.Now()
}
