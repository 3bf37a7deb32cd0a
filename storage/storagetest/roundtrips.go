package storagetest

import (
	"context"
	"net"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Trips is a go-redis hook that counts round trips: a command is one, and so is a pipeline. On a cluster client a pipeline
// to several nodes is one too, because the nodes are asked in parallel.
//
//	var trips storagetest.Trips
//	client.AddHook(&trips)
type Trips struct {
	mu       sync.Mutex
	count    int
	commands []string
	within   bool // count only what has a context of Within
}

type tripsKey struct{}

// Within returns a context whose commands are counted. From then on others are not, such as those that a store sends in the
// background.
func (h *Trips) Within(ctx context.Context) context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.within = true
	return context.WithValue(ctx, tripsKey{}, h)
}

var _ redis.Hook = (*Trips)(nil)

// Take returns the round trips since the last call, with the names of their commands, and resets the count.
func (h *Trips) Take() (count int, commands []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	count, commands = h.count, h.commands
	h.count, h.commands = 0, nil
	return count, commands
}

func (h *Trips) add(ctx context.Context, cmds ...redis.Cmder) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.within && ctx.Value(tripsKey{}) != h {
		return
	}
	names := make([]string, len(cmds))
	for i, c := range cmds {
		names[i] = c.Name()
	}
	h.count++
	h.commands = append(h.commands, strings.Join(names, "+"))
}

// DialHook implements redis.Hook. Connections are not counted.
func (h *Trips) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook implements redis.Hook.
func (h *Trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.add(ctx, cmd)
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (h *Trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		h.add(ctx, cmds...)
		return next(ctx, cmds)
	}
}
