package storage

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/redis/go-redis/v9"
)

// Options tune a store. The zero value is a sound default.
type Options struct {
	// Prefix goes before every key. Default "opgrant:". It must not contain a brace.
	Prefix string

	// Timeout bounds one operation with all its retries; past it the answer is a don't-know. Default 1.2 s, so that a
	// server in front answers within 1.5 s.
	Timeout time.Duration

	// Grace is how long a refresh token that was rotated away may be presented again without being taken for theft, for
	// clients that don't say it themselves (see Client). Default 0: strict.
	Grace time.Duration

	// SessionLimit bounds the sessions of one subject at one client, for clients that don't say it themselves. A login past
	// it ends the refresh token of the session that expires first. Default 0: no limit.
	SessionLimit int

	// Replicas makes writes of sessions wait until that many replicas have them (WAIT), for at most ReplicaTimeout; short
	// of it the answer is a don't-know, and asking again is safe. Default 0: the primary's word is enough.
	Replicas int

	// ReplicaTimeout bounds the wait for Replicas. Default 100 ms.
	ReplicaTimeout time.Duration

	// ClientCache is how long a client record may be served from memory. Default 3 s; negative turns the cache off.
	ClientCache time.Duration

	// Secret seals signing keys at rest. Empty: they are stored in the clear, and Redis must be guarded like them.
	Secret []byte

	// CredentialCache is how long a verified password may be taken without hashing it again, for clients that send it with
	// every request. The user record is read each time all the same. Default 0: off.
	CredentialCache time.Duration

	// Password says how passwords are hashed. The zero value is argon2id with 19 MiB, two passes and one lane.
	Password policy.PasswordCosts
}

func (o Options) withDefaults() Options {
	if o.Prefix == "" {
		o.Prefix = "opgrant:"
	}
	if o.Timeout == 0 {
		o.Timeout = 1200 * time.Millisecond
	}
	if o.ReplicaTimeout == 0 {
		o.ReplicaTimeout = 100 * time.Millisecond
	}
	if o.ClientCache == 0 {
		o.ClientCache = 3 * time.Second
	}
	o.Password = o.Password.WithDefaults()
	return o
}

// Store is everything together: what a whole authorization server needs. Its parts can be used alone.
// It is safe for concurrent use, and so are they.
//
// As one value it is what fosite asks of a store: clients and tokens. Users and signing keys are fields.
type Store struct {
	*Clients
	*Tokens
	Users *Users
	Keys  *Keys
	db    *db
}

// Authenticate implements fosite's ResourceOwnerPasswordCredentialsGrantStorage. See Users.Authenticate.
func (s *Store) Authenticate(ctx context.Context, username, password string) (subject string, err error) {
	return s.Users.Authenticate(ctx, username, password)
}

// New returns a store on Redis. It does not talk to Redis: a server may start before Redis does. The client should be
// made by Dial or have ContextTimeoutEnabled, or deadlines do not reach the socket. It must not read from replicas.
func New(rdb redis.UniversalClient, options Options) (*Store, error) {
	d, err := newDB(rdb, options)
	if err != nil {
		return nil, err
	}
	clients := &Clients{db: d}
	users := newUsers(d)
	return &Store{Clients: clients, Tokens: &Tokens{db: d, clients: clients}, Users: users, Keys: &Keys{db: d}, db: d}, nil
}

// db is what all parts share: the client, the key names, the options.
type db struct {
	rdb     redis.UniversalClient
	keys    keys
	options Options
	epoch   atomic.Pointer[string]
	breaker breaker
}

func newDB(rdb redis.UniversalClient, options Options) (*db, error) {
	if rdb == nil {
		return nil, errors.New("storage: no Redis client")
	}
	options = options.withDefaults()
	for _, c := range options.Prefix {
		if c == '{' || c == '}' {
			return nil, fmt.Errorf("storage: prefix %q contains a brace, which would move every key to one Redis Cluster slot", options.Prefix)
		}
	}
	if err := validateCosts(options.Password); err != nil {
		return nil, err
	}
	return &db{rdb: rdb, keys: keys{prefix: options.Prefix}, options: options, breaker: newBreaker()}, nil
}

// do runs one operation under the store's deadline. redis.Nil passes as it is; every other error becomes a don't-know.
func (d *db) do(ctx context.Context, op string, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d.options.Timeout)
	defer cancel()
	err := d.breaker.run(func() error { return f(ctx) })
	if err == nil || errors.Is(err, redis.Nil) {
		return err
	}
	if cluster, ok := d.rdb.(*redis.ClusterClient); ok && unreachable(err) {
		// go-redis keeps asking a dead primary until its map of slots is a minute old, unless it is told.
		cluster.ReloadState(ctx)
	}
	return dontKnow(op, err)
}

// write is do for changes: a caller that hangs up must not leave one half answered, so its cancellation does not count.
func (d *db) write(ctx context.Context, op string, f func(ctx context.Context) error) error {
	return d.do(context.WithoutCancel(ctx), op, f)
}
