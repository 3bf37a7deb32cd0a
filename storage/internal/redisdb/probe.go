package redisdb

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
)

// probeTimeout is for connecting and one reply.
const probeTimeout = 500 * time.Millisecond

// newProbe returns a function that asks whether Redis answers, over a new connection. Of a Cluster one answer of the configured
// nodes is enough: the others go on when one is down.
func newProbe(client redis.UniversalClient) func() error {
	type node struct {
		network, address string
		dial             dialer
	}
	var nodes []node
	switch c := client.(type) {
	case *redis.Client: // also of Sentinels, whose dialer finds the primary
		o := c.Options()
		nodes = []node{{o.Network, o.Addr, o.Dialer}}
	case *redis.ClusterClient:
		o := c.Options()
		dial := o.Dialer
		if dial == nil {
			dial = redis.NewDialer(&redis.Options{DialTimeout: probeTimeout, TLSConfig: o.TLSConfig})
		}
		for _, address := range o.Addrs {
			nodes = append(nodes, node{"tcp", address, dial})
		}
	}
	if len(nodes) == 0 { // another client, or a Cluster whose nodes a function tells
		return func() error {
			ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
			defer cancel()
			return client.Ping(ctx).Err()
		}
	}
	return func() error {
		results := make(chan error, len(nodes))
		for _, n := range nodes {
			go func() { results <- ping(n.dial, n.network, n.address) }()
		}
		var err error
		for range nodes {
			if err = <-results; err == nil {
				return nil
			}
		}
		return err
	}
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// within connects until ctx ends, also by a dialer that does not end with it: that of go-redis for TLS has the time-out of the client
// alone. What connects too late is closed.
func (dial dialer) within(ctx context.Context, network, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result, 1)
	go func() {
		r := result{err: errors.New("panic")}
		defer func() { // a dialer is code of others, and nothing else recovers here
			_ = recover()
			results <- r
		}()
		r.conn, r.err = dial(ctx, network, address)
	}()
	select {
	case r := <-results:
		return r.conn, r.err
	case <-ctx.Done():
		go func() {
			if r := <-results; r.conn != nil && r.err == nil {
				_ = r.conn.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// ping sends PING and waits for any reply, also one that says that a password is missing or that Redis is loading.
func ping(dial dialer, network, address string) error {
	deadline := time.Now().Add(probeTimeout)
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	conn, err := dial.within(ctx, network, address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("*1\r\n$4\r\nPING\r\n")); err != nil { // not inline, which proxies may not know
		return err
	}
	reply := make([]byte, 1)
	_, err = conn.Read(reply)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// A process that is short of time may see its deadline before a reply that has been there for long.
		_ = conn.SetDeadline(time.Now().Add(probeTimeout / 10))
		_, err = conn.Read(reply)
	}
	return err
}
