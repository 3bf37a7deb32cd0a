package storage

import (
	"context"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver/admission"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/throttle"
	"github.com/opgrant/opgrant/storage/usage"
)

// Options tune a store. The zero value is a sound default.
type Options struct {
	// Prefix goes before every Redis key. Default "opgrant:". It must not contain a brace.
	Prefix string

	// Timeout bounds one operation with all its retries; past it the store is unavailable. Default 1.2 s, so that a server
	// can answer within 1.5 s.
	Timeout time.Duration

	// Grace is how long a refresh token may be presented again after it was rotated, for clients without a policy of their
	// own (see NewTokens). Default 0: not at all. At most 60 s.
	Grace time.Duration

	// SessionsPerUser bounds the sessions of one subject at one client, for clients without a policy of their own. A login past
	// it ends the refresh token of the session that expires first. Default 0: no limit. Sessions from before there was a limit
	// count after their next refresh.
	SessionsPerUser int

	// Replicas is how many Redis replicas must confirm a write of a session (WAIT) within ReplicaTimeout; otherwise the store
	// is unavailable, and the write may be repeated. With at least one less than the primary has, a failover loses no confirmed
	// write, but for the exceptions in ARCHITECTURE.md: after a replica was found missing, which may mean that it was promoted, the
	// store is unavailable too, for up to five seconds. With fewer, a failover can lose some. CheckServer compares it with the
	// replicas that there are. Default 0: the primary alone confirms.
	Replicas int

	// ReplicaTimeout bounds the wait for Replicas, and for the other replicas that the primary has. It must be less than the read
	// timeout of the client (500 ms by Connect). Default 100 ms.
	ReplicaTimeout time.Duration

	// ClientCache is how long a client may be served from memory. Default 3 s; negative turns the cache off.
	ClientCache time.Duration

	// ShardOutage is for how long a store on a Redis Cluster goes on without a node that does not answer: with a client that this
	// process has read from there (then it needs Options.ClientCache too), and with changes on other nodes although the mark by
	// which an emptied Redis is recognised is there. Default 1 minute, counted from when the process read either last; negative
	// turns both off.
	//
	// While a node is silent nobody can change what it holds, and an emptied Redis is not silent: so as long as no node has
	// answered otherwise, what it said last is still so. The bound covers a process that is cut off from a node that others can
	// reach, and data that is lost with the node: for so long a client that was removed there, or given another secret, may still
	// be served here, and a change may be made in a store that was lost. As soon as the node answers, its answer counts, within
	// Options.ClientCache. Roles have no such memory: a login and the refresh of a user's session stay unavailable while the
	// node of the roles is silent, because a super user who was demoted must not get another token.
	ShardOutage time.Duration

	// MustExist refuses to take a Redis without a store for a new one: everything is unavailable (ErrUninitialised) until
	// Store.Init was called once, by this process or another one. Servers should set it, so that no restart accepts by itself that
	// Redis has lost its data. Default: an empty Redis becomes a new store at the first contact.
	MustExist bool

	// OnLost is called once, when the store first finds that Redis no longer holds the data that this process
	// saw in it (ErrLost). It must not block. Default: nothing.
	OnLost func()

	// Secret encrypts the signing keys in Redis, and keys that are not encrypted are refused (ErrUnsealed). Empty: they are stored
	// in plain text, and Redis must be guarded like them.
	Secret []byte

	// OtherSecrets decrypt the signing keys too, and encrypt nothing: for the time in which the secret changes (see Keys.Reseal).
	OtherSecrets [][]byte

	// Source verifies users who are not in the store, which adds them at their first login. Default: nil, there are no others.
	Source Source

	// CredentialCache is how long a verified password is accepted without hashing it again, for clients that send it with
	// every request. The user record is read each time all the same. Default 0: not at all.
	CredentialCache time.Duration

	// Throttle limits failed logins. The zero value has the defaults of package throttle.
	Throttle throttle.Limits

	// Password says how passwords are hashed. The zero value is argon2id with 19 MiB, two passes and one lane.
	Password policy.PasswordCosts

	// Hashes admits password hashes, so that they share the cores with other work (admission.New). Default: a gate of the
	// store's own, as many hashes at a time as there are cores.
	Hashes *admission.Gate

	// PasswordRules say which passwords may be set. The zero value refuses those with fewer than eight characters, common ones
	// and those that are little more than the user's name. Password.InsecureCheap, for tests, allows weak ones too.
	PasswordRules policy.PasswordRules
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
	if o.ShardOutage == 0 {
		o.ShardOutage = time.Minute
	}
	o.Password = o.Password.WithDefaults()
	o.PasswordRules.AllowWeak = o.PasswordRules.AllowWeak || o.Password.InsecureCheap
	return o
}

func (o Options) open(rdb redis.UniversalClient) (*redisdb.DB, error) {
	return redisdb.New(redisdb.Config{
		Client: rdb, Prefix: o.Prefix, Timeout: o.Timeout, Replicas: o.Replicas, ReplicaTimeout: o.ReplicaTimeout,
		MustExist: o.MustExist, ShardOutage: o.ShardOutage, OnLost: o.OnLost,
	})
}

// Store is everything that a whole authorization server keeps. As one value it is all that fosite asks of a store, so that
// compose.ComposeAllEnabled works on it. Users and signing keys are fields. It is safe for concurrent use, and so are its parts.
type Store struct {
	*Clients
	*Tokens
	*Issuers
	Users *Users
	Keys  *Keys
	db    *redisdb.DB
}

// New returns a store on Redis. It does not talk to Redis: a server may start before Redis does.
//
// The client should be made by Connect. Another one must set ContextTimeoutEnabled, or deadlines do not reach the socket,
// and must not read from replicas, or revoked tokens stay good for a while.
func New(rdb redis.UniversalClient, options Options) (*Store, error) {
	options = options.withDefaults()
	db, err := options.open(rdb)
	if err != nil {
		return nil, err
	}
	users, err := newUsers(db, options)
	if err != nil {
		return nil, err
	}
	keys, err := newKeys(db, options)
	if err != nil {
		return nil, err
	}
	clients := newClients(db, options)
	return &Store{Clients: clients, Tokens: newTokens(db, clients, options), Issuers: &Issuers{db: db}, Users: users, Keys: keys, db: db}, nil
}

// NewClients returns the client registry alone.
func NewClients(rdb redis.UniversalClient, options Options) (*Clients, error) {
	options = options.withDefaults()
	db, err := options.open(rdb)
	if err != nil {
		return nil, err
	}
	return newClients(db, options), nil
}

// NewIssuers returns the keys of issuers of assertions alone.
func NewIssuers(rdb redis.UniversalClient, options Options) (*Issuers, error) {
	options = options.withDefaults()
	db, err := options.open(rdb)
	if err != nil {
		return nil, err
	}
	return &Issuers{db: db}, nil
}

// NewUsers returns the accounts alone.
func NewUsers(rdb redis.UniversalClient, options Options) (*Users, error) {
	options = options.withDefaults()
	db, err := options.open(rdb)
	if err != nil {
		return nil, err
	}
	return newUsers(db, options)
}

// NewTokens returns the tokens alone, for a fosite server with clients and users of its own.
//
// clients finds the client of a stored session again. A client that has a method Policy() policy.Client says how its
// sessions behave; for others Options.Grace and Options.SessionsPerUser apply. When GetClient returns fosite.ErrNotFound, the
// client's tokens are not found either.
func NewTokens(rdb redis.UniversalClient, clients fosite.ClientManager, options Options) (*Tokens, error) {
	options = options.withDefaults()
	db, err := options.open(rdb)
	if err != nil {
		return nil, err
	}
	return newTokens(db, clients, options), nil
}

// Authenticate implements fosite's ResourceOwnerPasswordCredentialsGrantStorage. See Users.Authenticate.
func (s *Store) Authenticate(ctx context.Context, username, password string) (subject string, err error) {
	return s.Users.Authenticate(ctx, username, password)
}

// NewUsageCounter returns a counter of who uses which API, on this store.
func (s *Store) NewUsageCounter() *usage.Counter { return usage.New(s.db) }
