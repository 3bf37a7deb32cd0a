package opgrant

import (
	"context"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/admission"
	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/storage"
)

// Config configures a Server. Issuer and Redis are required; every other zero value is a sound default.
type Config struct {
	// Issuer is the URL of the server as clients know it, without a trailing slash (RFC 8414 section 2). If it has a path, the
	// OAuth endpoints are below that.
	Issuer string

	// Redis holds all state. Make it with storage.Connect, which sets the timeouts that the store needs. The caller closes it
	// after Run has returned.
	Redis redis.UniversalClient

	// Storage tunes the store: key prefix, secret, password costs, limits on failed logins, durability. Set its MustExist in a
	// server that others rely on. Its OnLost logs an error by default. Its Source is the Upstream of Operations by default, where
	// there is one: whoever logs in for the first time, by whichever API, is verified there.
	Storage storage.Options

	// Keys tunes the signing keys. Its Store is filled in. RotateEvery is zero by default: keys rotate by command only.
	Keys keys.Config

	// AccessTTL and RefreshTTL are how long tokens are valid whose client does not say. Default: 1 h (24 h for the legacy
	// profile) and 30 days.
	AccessTTL, RefreshTTL time.Duration

	// Audience is the audience of access tokens whose request names none (RFC 9068 section 3). Default: the issuer.
	Audience string

	// Grants are the grant types that the token endpoint offers. Default: all. The operations API needs password and
	// refresh_token.
	Grants []string

	// Assertions says which JWTs of clients are accepted (RFC 7523). Default: those that expire within an hour, for the
	// issuer or the token endpoint.
	Assertions authserver.Assertions

	// Admission bounds the work that runs at a time on both APIs: requests, and password hashes unless Storage.Hashes is set. A
	// field that is nil is that of admission.New.
	Admission admission.Gates

	// Operations tunes the operations API. Token, Authenticator, Users and Roles are filled in.
	// ClientID names a client in the store, "operations" by default: create it, or logins by that API fail.
	Operations compat.Config
	// DisableOperations leaves the OAuth endpoints alone, without the Upstream of Operations.
	DisableOperations bool

	// BodyBudget bounds the bytes that the bodies of all requests hold at a time, beyond the first 16 KiB of each. A request that
	// needs more is answered 503 with Retry-After. Set the MeterBody of Operations to count those of the operations API
	// otherwise. Default: 32 MiB. Negative: no bound.
	BodyBudget int64

	// Prepare is called by Run when Redis answers, before the server becomes ready; create users and clients in it. It is
	// called again when it returns an error that is fosite.ErrTemporarilyUnavailable. Any other error ends Run.
	Prepare func(context.Context, *Server) error

	// OnTokenIssued is called after each token response of the token endpoint, those for the operations API included. It
	// must not block.
	OnTokenIssued func(authserver.TokenIssued)

	// Log gets what operators need to know, never a secret or a token. Default: slog.Default.
	Log *slog.Logger
}

// defaultOperationsClient is the client by which operations log in.
const defaultOperationsClient = "operations"

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Admission.Requests == nil {
		c.Admission.Requests = admission.New().Requests
	}
	switch {
	case c.Storage.Hashes != nil:
		c.Admission.Hashes = c.Storage.Hashes
	case c.Admission.Hashes == nil:
		c.Admission.Hashes = admission.NewHashes(c.Admission.Requests)
	}
	c.Storage.Hashes = c.Admission.Hashes
	if c.Operations.ClientID == "" {
		c.Operations.ClientID = defaultOperationsClient
	}
	if log := c.Log; c.Storage.OnLost == nil {
		c.Storage.OnLost = func() {
			log.Error("Redis no longer holds the store that this server knows, and every request is answered 503: restore its data, " +
				"or accept the loss (storage.Store.AcceptLoss) and restart every server")
		}
	}
	if c.Operations.Log == nil {
		c.Operations.Log = c.Log
	}
	if c.BodyBudget == 0 {
		c.BodyBudget = defaultBodyBudget
	}
	return c
}
