package storage

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// clientOrigins is what is known of the origins that clients list. It is read from the records of the clients, by one caller for
// all: an index beside them would be wrong for good after a crash between the two, and a browser would be refused.
type clientOrigins struct {
	turn    chan struct{} // held by the caller that reads
	changes atomic.Int64  // by this process
	known   atomic.Pointer[knownOrigins]
}

type knownOrigins struct {
	clients map[string][]string // origin → IDs of clients
	failure error               // the last attempt to read; clients are those of the last one that succeeded
	until   time.Time           // when to read again
	changes int64
}

// After a failure, and after a reading that took long, the next one waits: preflights come from anyone.
const (
	originsRetry = 500 * time.Millisecond
	originsShare = 20 // times as long as the last reading took
)

func newClientOrigins() clientOrigins { return clientOrigins{turn: make(chan struct{}, 1)} }

// changed makes the next caller read again.
func (o *clientOrigins) changed() { o.changes.Add(1) }

// fresh returns what is known, nil if it has to be read.
func (o *clientOrigins) fresh() *knownOrigins {
	k := o.known.Load()
	if k == nil || !time.Now().Before(k.until) || k.changes != o.changes.Load() {
		return nil
	}
	return k
}

// OriginClients returns the IDs of the clients that list an origin (Client.Origins). It answers from memory for
// Options.ClientCache, or longer where the clients are so many that reading them takes long; changes by this process show at
// once. While Redis cannot answer, it returns what it knew before. An error that is fosite.ErrTemporarilyUnavailable says that
// it does not know whether a client lists the origin.
func (c *Clients) OriginClients(ctx context.Context, origin string) ([]string, error) {
	if k := c.origins.fresh(); k != nil {
		return k.of(origin)
	}
	if ctx.Err() == nil {
		select {
		case c.origins.turn <- struct{}{}:
			defer func() { <-c.origins.turn }()
			if c.origins.fresh() == nil { // those before may have read
				c.readOrigins(context.WithoutCancel(ctx)) // the others wait for it too
			}
			return c.origins.known.Load().of(origin)
		case <-ctx.Done():
		}
	}
	k := knownOrigins{failure: unavailable.Error(opOrigins, ctx.Err())}
	if last := c.origins.known.Load(); last != nil {
		k.clients = last.clients
	}
	return k.of(origin)
}

const opOrigins = "read origins of clients"

func (k *knownOrigins) of(origin string) ([]string, error) {
	if ids := k.clients[origin]; len(ids) > 0 {
		return ids, nil
	}
	return nil, k.failure
}

// readOrigins reads the origins of all clients. The caller has the turn.
func (c *Clients) readOrigins(ctx context.Context) {
	k := &knownOrigins{changes: c.origins.changes.Load()}
	start := time.Now()
	records, err := c.records(ctx, opOrigins)
	now := time.Now()
	if err != nil {
		if last := c.origins.known.Load(); last != nil {
			k.clients = last.clients
		}
		k.failure, k.until = err, now.Add(originsRetry)
		c.origins.known.Store(k)
		return
	}
	k.clients = map[string][]string{}
	for _, raw := range records {
		var client struct {
			ID      string   `json:"id"`
			Origins []string `json:"origins"`
		}
		if json.Unmarshal([]byte(raw), &client) != nil {
			continue // its own requests are unavailable; those of other clients need not be
		}
		for _, origin := range client.Origins {
			k.clients[origin] = append(k.clients[origin], client.ID)
		}
	}
	if c.cache.ttl > 0 {
		k.until = now.Add(max(c.cache.ttl, originsShare*now.Sub(start)))
	}
	c.origins.known.Store(k)
}
