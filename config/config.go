package config

import (
	"time"

	"github.com/opgrant/opgrant/authserver/policy"
)

// Config is the configuration of the program. The zero value is not usable; start from [Default] or [Load].
type Config struct {
	Listen      string `koanf:"listen"`       // public listener, host:port
	AdminListen string `koanf:"admin_listen"` // metrics, host:port, or "off"
	Issuer      string `koanf:"issuer"`       // URL that names this server in tokens; empty: http:// and the address listened on
	Secret      Secret `koanf:"secret"`       // encrypts the signing keys in Redis; empty: they are stored unencrypted
	// OtherSecrets decrypt the signing keys too, and encrypt nothing: for the time in which the secret changes.
	OtherSecrets []Secret `koanf:"other_secrets"`
	Strict       bool     `koanf:"strict"` // refuse to start on what is otherwise a warning

	AcceptWarnings []string `koanf:"accept_warnings"` // names of warnings that do not apply here; see Warnings

	TrustedProxies []string `koanf:"trusted_proxies"` // networks whose X-Forwarded-For is trusted

	Admin      Admin      `koanf:"admin"`
	Log        Log        `koanf:"log"`
	HTTP       HTTP       `koanf:"http"`
	Redis      Redis      `koanf:"redis"`
	Durability Durability `koanf:"durability"`
	Tokens     Tokens     `koanf:"tokens"`
	Assertions Assertions `koanf:"assertions"`
	Keys       Keys       `koanf:"keys"`
	Passwords  Passwords  `koanf:"passwords"`
	Throttle   Throttle   `koanf:"throttle"`
	Compat     Compat     `koanf:"compat"`

	Clients       []Client `koanf:"clients"`        // created and updated at start to be as listed
	RemoveClients bool     `koanf:"remove_clients"` // clients that are not in the list are removed at start
	Users         []User   `koanf:"users"`          // created at start when they do not exist

	// SecretFiles are the files that secrets were read from, the configuration itself included. Load fills it in.
	SecretFiles []string `koanf:"-"`
}

// Admin configures the admin listener.
type Admin struct {
	Pprof bool     `koanf:"pprof"` // serve profiles too: they hold memory, and memory holds secrets
	Hosts []string `koanf:"hosts"` // names by which it may be called, besides the loopback, its own address and admin_listen
}

// Log configures the log on standard error.
type Log struct {
	Level  string `koanf:"level"`  // debug, info, warn, error
	Format string `koanf:"format"` // json, text
}

// HTTP limits requests.
type HTTP struct {
	ReadHeaderTimeout time.Duration `koanf:"read_header_timeout"`
	ReadTimeout       time.Duration `koanf:"read_timeout"`
	WriteTimeout      time.Duration `koanf:"write_timeout"`
	IdleTimeout       time.Duration `koanf:"idle_timeout"`
	DrainDelay        time.Duration `koanf:"drain_delay"`      // how long it still accepts requests when it was told to stop
	ShutdownTimeout   time.Duration `koanf:"shutdown_timeout"` // how long open requests may take to finish after that
	MaxConnections    int           `koanf:"max_connections"`  // 0: any number
	MaxHeaderBytes    int           `koanf:"max_header_bytes"`
	MaxBodyBytes      int64         `koanf:"max_body_bytes"`    // of the operations API, where the header proves the caller
	BodyBudgetBytes   int64         `koanf:"body_budget_bytes"` // of all requests together, beyond 16 KiB each
}

// Redis tells where the state is.
type Redis struct {
	URL              RedisURL      `koanf:"url" env:"REDIS"` // redis://, rediss://, unix:// or plain addresses; see Endpoint
	Mode             string        `koanf:"mode"`            // auto, standalone, sentinel, cluster
	MasterName       string        `koanf:"master_name"`     // makes the addresses Sentinels
	Username         string        `koanf:"username"`
	Password         Secret        `koanf:"password"`
	SentinelUsername string        `koanf:"sentinel_username"`
	SentinelPassword Secret        `koanf:"sentinel_password"`
	DB               int           `koanf:"db"`
	Prefix           string        `koanf:"prefix"` // of every key
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

// Durability tells when a write counts as done.
type Durability struct {
	Mode     string        `koanf:"mode"`     // default: on the primary; replicated: on replicas too
	Replicas int           `koanf:"replicas"` // how many must have the write, in replicated mode: one less than there are, or all
	Timeout  time.Duration `koanf:"timeout"`  // how long that may take, and how long the others are waited for: less than redis.timeout
}

// Tokens has the defaults of clients that set nothing else, and the grants of the server.
type Tokens struct {
	AccessTTL  time.Duration `koanf:"access_ttl"`  // 0: 1 h, 24 h for legacy clients
	RefreshTTL time.Duration `koanf:"refresh_ttl"` // 0: 30 days
	Audience   string        `koanf:"audience"`    // of access tokens whose request names none; empty: the issuer
	Grants     []string      `koanf:"grants"`      // that the token endpoint offers; empty: all
}

// Assertions says which JWTs of clients are accepted, for private_key_jwt and for the JWT bearer grant (RFC 7523).
type Assertions struct {
	MaxTTL   time.Duration `koanf:"max_ttl"`  // how far ahead they may expire, and how old they may be; up to 24h
	Audience string        `koanf:"audience"` // either: the issuer or the token endpoint; issuer: the issuer alone
}

// Keys describes the signing keys that the server creates.
type Keys struct {
	Bits        int           `koanf:"bits"`          // of RSA keys
	RotateEvery time.Duration `koanf:"rotate_every"`  // 0: by command only
	Lead        time.Duration `koanf:"lead"`          // how long a key is published before it signs
	MaxTokenTTL time.Duration `koanf:"max_token_ttl"` // the longest TTL of a token; a retired key is published for so long
}

// Passwords sets the costs of argon2id, and which passwords may be set.
type Passwords struct {
	MemoryKiB   int `koanf:"memory_kib"`
	Iterations  int `koanf:"iterations"`
	Parallelism int `koanf:"parallelism"`

	MinLength int  `koanf:"min_length"` // of passwords that are set here, in characters
	AllowWeak bool `koanf:"allow_weak"` // accept any password that is not empty, as HarperDB does
}

// Rules returns the settings as package policy checks them and the store takes them.
func (p Passwords) Rules() policy.PasswordRules {
	return policy.PasswordRules{MinLength: p.MinLength, AllowWeak: p.AllowWeak}
}

// Costs returns the settings as package policy checks them and the store takes them.
func (p Passwords) Costs() policy.PasswordCosts {
	return policy.PasswordCosts{MemoryKiB: p.MemoryKiB, Iterations: p.Iterations, Parallelism: p.Parallelism}
}

// Throttle limits failed logins, on both APIs together, and wrong client secrets. A network is the part of an address that the
// prefixes say.
type Throttle struct {
	Disabled       bool          `koanf:"disabled"`
	PerUserNetwork int           `koanf:"per_user_network"` // failures allowed per user and network in window
	PerUser        int           `koanf:"per_user"`         // per user in user_window, from networks that the user has not logged in from
	UserWindow     time.Duration `koanf:"user_window"`
	PerNetwork     int           `koanf:"per_network"` // of all users per network in window
	PerClient      int           `koanf:"per_client"`  // wrong secrets per client and network in window
	Window         time.Duration `koanf:"window"`
	IPv4Prefix     int           `koanf:"ipv4_prefix"` // bits of an address that name its network
	IPv6Prefix     int           `koanf:"ipv6_prefix"`
}

// Compat configures the operations API: JSON on POST /.
type Compat struct {
	Disabled bool   `koanf:"disabled"`
	Client   string `koanf:"client"` // ID of the client by which operations log in

	Upstream         string        `koanf:"upstream"` // old server that verifies unknown users and answers other operations; empty: none
	UpstreamTimeout  time.Duration `koanf:"upstream_timeout"`
	UpstreamUsername string        `koanf:"upstream_username"` // with it, forwarded requests carry these credentials, not the caller's
	UpstreamPassword Secret        `koanf:"upstream_password"`

	UpstreamOperations   []string      `koanf:"upstream_operations"`     // what callers who are not super users may do under these credentials
	UpstreamCookies      bool          `koanf:"upstream_cookies"`        // forward login and session cookies; see origins
	UpstreamIdleTimeout  time.Duration `koanf:"upstream_idle_timeout"`   // of each pause in a forwarded body or answer
	UpstreamMaxTime      time.Duration `koanf:"upstream_max_time"`       // of a forwarded request
	UpstreamMaxBodyBytes int64         `koanf:"upstream_max_body_bytes"` // of a forwarded request
	UpstreamMaxRequests  int           `koanf:"upstream_max_requests"`   // forwarded at a time; further ones are 503

	Shadow bool `koanf:"shadow"` // send operations that only read to the upstream too and log differences

	Origins    []string `koanf:"origins"`     // of browser applications that may call, "*" for others without credentials; empty: none
	ServerName string   `koanf:"server_name"` // Server header; empty: HarperDB, "-": none

	Deprecation Date   `koanf:"deprecation"` // sent as Deprecation header (RFC 9745)
	Sunset      Date   `koanf:"sunset"`      // sent as Sunset header (RFC 8594)
	Notice      string `koanf:"notice"`      // URL of a page that explains both

	BasicCacheTTL time.Duration `koanf:"basic_cache_ttl"` // how long a verified password is cached; 0: never
}

// Client is one entry of the list of clients. Without secret and JWKS it is a public client.
type Client struct {
	ID              string         `koanf:"id"`
	Name            string         `koanf:"name"`
	Secret          Secret         `koanf:"secret"`
	JWKS            Content        `koanf:"jwks"` // public keys for private_key_jwt and assertions (RFC 7523)
	Grants          []string       `koanf:"grants"`
	Scopes          []string       `koanf:"scopes"`
	DefaultScopes   []string       `koanf:"default_scopes"` // for requests that name none; not set: all of scopes
	Audience        []string       `koanf:"audience"`
	Profile         string         `koanf:"profile"`   // standard, legacy
	Algorithm       string         `koanf:"algorithm"` // RS256, ES256, EdDSA
	AccessTTL       time.Duration  `koanf:"access_ttl"`
	RefreshTTL      time.Duration  `koanf:"refresh_ttl"`
	MaxSessionTTL   time.Duration  `koanf:"max_session_ttl"`
	Refresh         string         `koanf:"refresh"`           // strict, grace (or rotate), fapi2, static
	Grace           *time.Duration `koanf:"grace"`             // with refresh: grace, how long a rotated refresh token gets the same answer again; not set: 10s
	SessionsPerUser int            `koanf:"sessions_per_user"` // 0: any number
	Introspect      bool           `koanf:"introspect"`        // may introspect tokens of other clients
	ExchangeFrom    []string       `koanf:"exchange_from"`     // clients whose tokens it may exchange (RFC 8693)
	Origins         []string       `koanf:"origins"`           // of browser applications that may read the answers to it (CORS)
}

// User is one entry of the list of users to create.
type User struct {
	Username string `koanf:"username"`
	Password Secret `koanf:"password"`
	Role     string `koanf:"role"`
}
