package storage

import (
	"context"
	"net"
	"sync"

	"github.com/redis/go-redis/v9"
)

// failing is a go-redis hook that lets a number of commands pass and fails all after them, and counts round trips.
type failing struct {
	mutex sync.Mutex
	after int // commands that still pass; negative: all
	err   error
	trips int
	lines []string // every command that was sent, with its arguments
}

func (f *failing) set(after int) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.after, f.trips = after, 0
}

func (f *failing) count() int {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.trips
}

func (f *failing) pass(cmds ...redis.Cmder) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.trips++
	for _, c := range cmds {
		f.lines = append(f.lines, c.String())
	}
	if f.after == 0 {
		for _, c := range cmds {
			c.SetErr(f.err)
		}
		return f.err
	}
	if f.after > 0 {
		f.after--
	}
	return nil
}

func (f *failing) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (f *failing) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := f.pass(cmd); err != nil {
			return err
		}
		return next(ctx, cmd)
	}
}

func (f *failing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := f.pass(cmds...); err != nil {
			return err
		}
		return next(ctx, cmds)
	}
}

// repeating is a go-redis hook under which every command that changes something runs twice, and only the second reply
// arrives: the first one was lost, and go-redis or the caller asked again.
type repeating struct{}

func (repeating) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (repeating) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		_ = next(ctx, cmd)
		return next(ctx, cmd)
	}
}

func (repeating) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		_ = next(ctx, cmds)
		return next(ctx, cmds)
	}
}
