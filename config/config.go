package config

import (
	"time"

	"github.com/opgrant/opgrant/authserver/policy"
)

// Config is everything that `opgrant serve` can be told. The zero value is not
// usable; start from [Default] or [Load].
type Config struct {
	Listen      string `koanf:"listen"`       // public listener, host:port
	AdminListen string `koanf:"admin_listen"` // metrics and profiles, host:port, or "off"
	Issuer      string `koanf:"issuer"`       // URL that names this server in tokens; empty: http:// and the address listened on
	Secret      Secret `koanf:"secret"`       // seals the signing keys in Redis; empty: they are stored as they are
	Strict      bool   `koanf:"strict"`       // refuse to start on what is otherwise a warning

	TrustedProxies []string `koanf:"trusted_proxies"` // CIDRs whose X-Forwarded-For is believed

	Log        Log        `koanf:"log"`
	HTTP       HTTP       `koanf:"http"`
	Redis      Redis      `koanf:"redis"`
	Durability Durability `koanf:"durability"`
	Tokens     Tokens     `koanf:"tokens"`
	Keys       Keys       `koanf:"keys"`
	Passwords  Passwords  `koanf:"passwords"`
	Throttle   Throttle   `koanf:"throttle"`
	Compat     Compat     `koanf:"compat"`

	Clients       []Client `koanf:"clients"`        // made and changed at start to be as listed
	RemoveClients bool     `koanf:"remove_clients"` // the list is the whole truth: others are removed at start
	Users         []User   `koanf:"users"`          // created at start when they do not exist
}

// Log says what is written to standard error, and how.
type Log struct {
	Level  string `koanf:"level"`  // debug, info, warn, error
	Format string `koanf:"format"` // json, text
}

// HTTP bounds what one request may cost.
type HTTP struct {
	ReadHeaderTimeout time.Duration `koanf:"read_header_timeout"`
	ReadTimeout       time.Duration `koanf:"read_timeout"`
	WriteTimeout      time.Duration `koanf:"write_timeout"`
	IdleTimeout       time.Duration `koanf:"idle_timeout"`
	ShutdownTimeout   time.Duration `koanf:"shutdown_timeout"` // how long open requests may take to finish
	MaxHeaderBytes    int           `koanf:"max_header_bytes"`
	MaxBodyBytes      int64         `koanf:"max_body_bytes"` // of the legacy door
}

// Redis says where the state is.
type Redis struct {
	URL              RedisURL      `koanf:"url" env:"REDIS"` // redis://, rediss://, unix:// or plain addresses; see Endpoint
	Mode             string        `koanf:"mode"`            // auto, standalone, sentinel, cluster
	MasterName       string        `koanf:"master_name"`     // makes the addresses Sentinels
	Username         string        `koanf:"username"`
	Password         Secret        `koanf:"password"`
	SentinelUsername string        `koanf:"sentinel_username"`
	SentinelPassword Secret        `koanf:"sentinel_password"`
	DB               int           `koanf:"db"`
	Prefix           string        `koanf:"prefix"` // put before every key
	PoolSize         int           `koanf:"pool_size"`
	DialTimeout      time.Duration `koanf:"dial_timeout"`
	Timeout          time.Duration `koanf:"timeout"` // of one read or write
	TLS              RedisTLS      `koanf:"tls"`
}

// RedisTLS is the transport security of the connection to Redis.
type RedisTLS struct {
	Enabled            bool   `koanf:"enabled"` // rediss:// implies it
	CAFile             string `koanf:"ca_file"`
	CertFile           string `koanf:"cert_file"`
	KeyFile            string `koanf:"key_file"`
	ServerName         string `koanf:"server_name"`
	InsecureSkipVerify bool   `koanf:"insecure_skip_verify"`
}

// Durability says when a write counts as done.
type Durability struct {
	Mode     string        `koanf:"mode"`     // default: the primary has it; replicated: so have replicas
	Replicas int           `koanf:"replicas"` // how many must answer, in replicated mode
	Timeout  time.Duration `koanf:"timeout"`  // how long they may take
}

// Tokens gives what clients do not set themselves.
type Tokens struct {
	AccessTTL  time.Duration `koanf:"access_ttl"`  // 0: 1 h, 24 h for legacy clients
	RefreshTTL time.Duration `koanf:"refresh_ttl"` // 0: 30 days
	Audience   string        `koanf:"audience"`    // of access tokens whose request names none; empty: the issuer
}

// Keys describes the signing keys that the server makes.
type Keys struct {
	Bits        int           `koanf:"bits"`          // of RSA keys
	RotateEvery time.Duration `koanf:"rotate_every"`  // 0: by command only
	Lead        time.Duration `koanf:"lead"`          // how long a key is published before it signs
	MaxTokenTTL time.Duration `koanf:"max_token_ttl"` // the longest TTL of a token; a retired key is published for so long
}

// Passwords sets the cost of argon2id.
type Passwords struct {
	MemoryKiB   int `koanf:"memory_kib"`
	Iterations  int `koanf:"iterations"`
	Parallelism int `koanf:"parallelism"`
}

// Throttle limits failed logins, for both doors together.
type Throttle struct {
	Disabled   bool          `koanf:"disabled"`
	PerUser    int           `koanf:"per_user"`    // failures allowed per user and window
	PerAddress int           `koanf:"per_address"` // failures allowed per address and window
	Window     time.Duration `koanf:"window"`
}

// Compat is the legacy door: operations as JSON on POST /.
type Compat struct {
	Disabled bool   `koanf:"disabled"`
	Client   string `koanf:"client"` // the client under which operations log in

	Upstream         string        `koanf:"upstream"` // the old server, which verifies unknown users and gets the other operations; empty: there is none
	UpstreamTimeout  time.Duration `koanf:"upstream_timeout"`
	UpstreamUsername string        `koanf:"upstream_username"` // with it, forwarded requests carry these credentials, not the caller's
	UpstreamPassword Secret        `koanf:"upstream_password"`
	Shadow           bool          `koanf:"shadow"` // ask the old server too, log differences

	Origins    []string `koanf:"origins"`     // of browser applications that may call; none: any, as the old server has it
	ServerName string   `koanf:"server_name"` // Server header; empty: HarperDB, "-": none

	Deprecation string `koanf:"deprecation"` // date, sent as Deprecation header
	Sunset      string `koanf:"sunset"`      // date, sent as Sunset header
	Notice      string `koanf:"notice"`      // URL of a page that explains both

	BasicCacheTTL time.Duration `koanf:"basic_cache_ttl"` // 0: passwords are verified on each request
}

// Client is one entry of the declarative list of clients.
type Client struct {
	ID              string         `koanf:"id"`
	Name            string         `koanf:"name"`
	Secret          Secret         `koanf:"secret"`
	JWKS            Content        `koanf:"jwks"` // public keys of a client that authenticates or asserts with its own
	Grants          []string       `koanf:"grants"`
	Scopes          []string       `koanf:"scopes"`
	DefaultScopes   []string       `koanf:"default_scopes"` // for requests that name none; not set: all of scopes
	Audience        []string       `koanf:"audience"`
	Profile         string         `koanf:"profile"`   // standard, legacy
	Algorithm       string         `koanf:"algorithm"` // RS256, ES256, EdDSA
	AccessTTL       time.Duration  `koanf:"access_ttl"`
	RefreshTTL      time.Duration  `koanf:"refresh_ttl"`
	MaxSessionTTL   time.Duration  `koanf:"max_session_ttl"`
	Refresh         string         `koanf:"refresh"`           // rotate, static
	Grace           *time.Duration `koanf:"grace"`             // how long a rotated refresh token gets the same answer again; not set: 10s
	SessionsPerUser int            `koanf:"sessions_per_user"` // 0: any number
	Introspect      bool           `koanf:"introspect"`        // may ask about tokens that are not its own
}

// Public says whether the client has nothing to authenticate with.
func (c Client) Public() bool { return c.Secret == "" && c.JWKS == "" }

// policy is what the entry allows, as package policy checks it.
func (c Client) policy() policy.Client {
	p := policy.Client{
		ID: c.ID, Public: c.Public(), KeySet: []byte(c.JWKS),
		Grants: c.Grants, Scopes: c.Scopes, DefaultScopes: c.DefaultScopes, Audience: c.Audience,
		Profile: c.Profile, Algorithm: c.Algorithm,
		AccessTTL: c.AccessTTL, RefreshTTL: c.RefreshTTL, MaxSessionTTL: c.MaxSessionTTL,
		Refresh: c.Refresh, SessionsPerUser: c.SessionsPerUser, Introspect: c.Introspect,
	}
	if c.Secret != "" {
		p.Secrets = 1
	}
	if c.Grace != nil {
		p.Grace = *c.Grace
	}
	return p
}

// User is one entry of the list of users to create.
type User struct {
	Username string `koanf:"username"`
	Password Secret `koanf:"password"`
	Role     string `koanf:"role"`
}
