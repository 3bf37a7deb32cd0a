package storage

import (
	"context"
	"sync"
	"time"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// Thousands of sessions have the same user agent, so that a session keeps a hash of it, and the text is stored once. It serves
// lists alone: a text that was lost, or that the table had no room for, is not shown.

// agentScript stores a user agent. The first one with a hash keeps it.
//
//	KEYS  1 the table
//	ARGV  1 hash   2 user agent   3 most entries   4 TTL of the table in ms
//	reply 1
//	twice finds its entry
var agentScript = redisdb.NewScript(`
if redis.call('HLEN', KEYS[1]) < tonumber(ARGV[3]) then redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1`)

const (
	maxAgents   = 1000
	agentsTTL   = 100 * 24 * time.Hour
	agentsEvery = time.Hour // how often a process stores a user agent again
)

// agents are the user agents that this process has stored lately. The zero value is ready for use.
type agents struct {
	mutex sync.Mutex
	since time.Time
	seen  map[string]bool
}

// first tells whether an agent has to be stored. Beyond maxAgents none has.
func (a *agents) first(agent string) bool {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if now := time.Now(); a.seen == nil || now.Sub(a.since) > agentsEvery {
		a.since, a.seen = now, make(map[string]bool)
	}
	if a.seen[agent] || len(a.seen) >= maxAgents {
		return false
	}
	a.seen[agent] = true
	return true
}

// rememberAgent stores a user agent, in the background.
func (t *Tokens) rememberAgent(agent string) {
	if agent == "" || !t.agents.first(agent) {
		return
	}
	t.later.add(t.db, redisdb.Call{
		Script: agentScript, Keys: []string{t.db.Keys.UserAgents()},
		Args: []any{agentHash(agent), agent, maxAgents, agentsTTL.Milliseconds()},
	})
}

// resolveAgents replaces the hashes of user agents by their texts.
func (t *Tokens) resolveAgents(ctx context.Context, list []SessionInfo) {
	texts := make(map[string]string)
	var hashes []string
	for _, info := range list {
		if _, ok := texts[info.agentHash]; !ok && info.agentHash != "" {
			texts[info.agentHash] = ""
			hashes = append(hashes, info.agentHash)
		}
	}
	if len(hashes) == 0 {
		return
	}
	_ = t.db.Do(ctx, opListSessions, func(ctx context.Context) error {
		found, err := t.db.Client.HMGet(ctx, t.db.Keys.UserAgents(), hashes...).Result()
		for i, text := range found {
			texts[hashes[i]], _ = text.(string)
		}
		return err
	})
	for i, info := range list {
		if info.agentHash != "" {
			list[i].UserAgent = texts[info.agentHash]
		}
	}
}
