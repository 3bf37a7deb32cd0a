package storage

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// Errors of a Redis that answers but does not hold the store. The first two are marked as unavailable wherever a method returns
// them: errors.Is(err, fosite.ErrTemporarilyUnavailable).
var (
	// ErrLost says that Redis no longer holds the data that this process saw in it. This process serves again when Redis has its
	// data back, or after a restart when the loss was accepted (AcceptLoss).
	ErrLost = redisdb.ErrLost
	// ErrUninitialised says that Redis holds no store, and that Options.MustExist forbids to take it for a new one.
	ErrUninitialised = redisdb.ErrUninitialised
	// ErrInitialised is returned by Init and AcceptLoss when Redis holds a store.
	ErrInitialised = redisdb.ErrInitialised
	// ErrRemains is returned by Init when Redis holds no complete store, but clients, users or keys of one.
	ErrRemains = errors.New("storage: redis holds the remains of a store that has lost data")
)

// Init makes a new store in an empty Redis. Options.MustExist needs it once. It returns ErrInitialised when there is a store,
// and ErrRemains when there was one. After an error that is marked as unavailable it may be called again.
func (s *Store) Init(ctx context.Context) error {
	const op = "init store"
	found, err := s.db.Initialised(ctx, op)
	if err != nil {
		return err
	}
	remains, err := s.count(ctx, op)
	switch {
	case err != nil:
		return err
	case found:
		return ErrInitialised
	case remains != (counts{}):
		return ErrRemains
	}
	return s.db.Init(ctx, op)
}

// AcceptLoss makes a new store in a Redis that has lost one: sessions, users, clients and keys that are gone stay gone, what is
// left is used. Servers that saw the old store stay unavailable until they are restarted. It returns ErrInitialised when there
// is a store.
func (s *Store) AcceptLoss(ctx context.Context) error { return s.db.Init(ctx, "accept loss") }

// Status is what Redis holds.
type Status struct {
	// Initialised tells whether there is a store.
	Initialised bool `json:"initialised"`
	// Clients, Users and Roles are how many there are.
	Clients int64 `json:"clients"`
	Users   int64 `json:"users"`
	Roles   int64 `json:"roles"`
	// SigningKeys tells whether any were stored.
	SigningKeys bool `json:"signing_keys"`
	// Redis has the settings that decide what a crash loses, as INFO names them, as far as Redis shows them.
	Redis map[string]string `json:"redis"`
}

// Status reads what Redis holds. It changes nothing, and serves a Redis without a store too.
func (s *Store) Status(ctx context.Context) (Status, error) {
	const op = "read status"
	found, err := s.db.Initialised(ctx, op)
	if err != nil {
		return Status{}, err
	}
	n, err := s.count(ctx, op)
	if err != nil {
		return Status{}, err
	}
	status := Status{Initialised: found, Clients: n.clients, Users: n.users, Roles: n.roles, SigningKeys: n.keys > 0}
	info, err := s.serverInfo(ctx, op)
	if err != nil {
		return Status{}, err
	}
	status.Redis = make(map[string]string)
	for _, name := range []string{"redis_version", "aof_enabled", "rdb_last_save_time", "maxmemory_policy", "role", "connected_slaves"} {
		if value, ok := info[name]; ok {
			status.Redis[name] = value
		}
	}
	return status, nil
}

type counts struct{ clients, users, roles, keys int64 }

func (s *Store) count(ctx context.Context, op string) (n counts, err error) {
	k := s.db.Keys
	var clients, users, roles, keys *redis.IntCmd
	err = s.db.Do(ctx, op, func(ctx context.Context) error {
		_, err := s.db.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			clients, users = p.SCard(ctx, k.Clients()), p.ZCard(ctx, k.Users())
			roles, keys = p.HLen(ctx, k.Roles()), p.Exists(ctx, k.SigningKeys())
			return nil
		})
		return err
	})
	if err != nil {
		return n, err
	}
	return counts{clients.Val(), users.Val(), roles.Val(), keys.Val()}, nil
}
