package authserver_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// redisCommands notes what is sent to Redis.
type redisCommands struct {
	mutex sync.Mutex
	sent  []string
}

func (c *redisCommands) note(cmds ...redis.Cmder) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, cmd := range cmds {
		if name := cmd.Name(); name == "client" || name == "hello" {
			continue // a new connection introduces itself
		}
		if slices.Contains(cmd.Args(), any("opgrant:agents")) {
			continue // in the background
		}
		c.sent = append(c.sent, strings.TrimSpace(fmt.Sprintln(cmd.Args()...)))
	}
}

func (c *redisCommands) take() []string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	sent := c.sent
	c.sent = nil
	return sent
}

func (c *redisCommands) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *redisCommands) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.note(cmd)
		return next(ctx, cmd)
	}
}

func (c *redisCommands) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.note(cmds...)
		return next(ctx, cmds)
	}
}
