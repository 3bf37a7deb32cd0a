package server

import (
	"context"
	"encoding/base64"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/config"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/throttle"
)

func storageOptions(cfg *config.Config) storage.Options {
	return storage.Options{
		Prefix:          cfg.Redis.Prefix,
		MustExist:       true,
		Secret:          []byte(cfg.Secret),
		OtherSecrets:    otherSecrets(cfg.OtherSecrets),
		Replicas:        cfg.Durability.Replicas,
		ReplicaTimeout:  cfg.Durability.Timeout,
		CredentialCache: cfg.Compat.BasicCacheTTL,
		Password:        cfg.Passwords.Costs(),
		PasswordRules:   cfg.Passwords.Rules(),
		Throttle:        throttleLimits(cfg.Throttle),
	}
}

func otherSecrets(list []config.Secret) [][]byte {
	var secrets [][]byte
	for _, s := range list {
		secrets = append(secrets, []byte(s))
	}
	return secrets
}

func keysConfig(c config.Keys) keys.Config {
	return keys.Config{
		RSABits:     c.Bits,
		Lead:        c.Lead,
		MaxTokenTTL: c.MaxTokenTTL,
		RotateEvery: c.RotateEvery,
	}
}

func throttleLimits(c config.Throttle) throttle.Limits {
	return throttle.Limits{
		Disabled:       c.Disabled,
		PerUserNetwork: c.PerUserNetwork,
		PerUser:        c.PerUser,
		UserWindow:     c.UserWindow,
		PerNetwork:     c.PerNetwork,
		PerClient:      c.PerClient,
		Window:         c.Window,
		IPv4Prefix:     c.IPv4Prefix,
		IPv6Prefix:     c.IPv6Prefix,
	}
}

// upstream is nil where none is configured.
func upstream(c config.Compat, onShadow func(compat.ShadowResult)) *compat.Upstream {
	if c.Upstream == "" {
		return nil
	}
	return &compat.Upstream{
		URL:           c.Upstream,
		Timeout:       c.UpstreamTimeout,
		IdleTimeout:   c.UpstreamIdleTimeout,
		MaxTime:       c.UpstreamMaxTime,
		MaxBody:       c.UpstreamMaxBodyBytes,
		MaxRequests:   c.UpstreamMaxRequests,
		Authorization: upstreamCredentials(c),
		Operations:    c.UpstreamOperations,
		Cookies:       c.UpstreamCookies,
		Shadow:        c.Shadow,
		OnShadow:      onShadow,
	}
}

// upstreamCredentials are sent in place of the caller's where they are configured.
func upstreamCredentials(c config.Compat) func(context.Context, compat.Caller) (string, error) {
	if c.UpstreamUsername == "" {
		return nil
	}
	header := "Basic " + base64.StdEncoding.EncodeToString([]byte(c.UpstreamUsername+":"+string(c.UpstreamPassword)))
	return func(context.Context, compat.Caller) (string, error) { return header, nil }
}
