package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/config"
)

// redisOptions translates the configuration. storage.Connect fills what is left zero.
func redisOptions(c config.Redis) (*redis.UniversalOptions, error) {
	e, err := c.Endpoint()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	options := &redis.UniversalOptions{
		Addrs:            e.Addrs,
		MasterName:       e.MasterName,
		IsClusterMode:    e.Mode == "cluster",
		Username:         e.Username,
		Password:         string(e.Password),
		SentinelUsername: c.SentinelUsername,
		SentinelPassword: string(c.SentinelPassword),
		DB:               e.DB,
		ClientName:       "opgrant",
		PoolSize:         c.PoolSize,
		DialTimeout:      c.DialTimeout,
		ReadTimeout:      c.Timeout,
		WriteTimeout:     c.Timeout,
	}
	if e.TLS {
		if options.TLSConfig, err = redisTLS(c.TLS); err != nil {
			return nil, fmt.Errorf("redis.tls: %w", err)
		}
	}
	return options, nil
}

func redisTLS(c config.RedisTLS) (*tls.Config, error) {
	t := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         c.ServerName,
		InsecureSkipVerify: c.InsecureSkipVerify, // #nosec G402 -- the operator typed the setting out
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, err
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("ca_file: holds no certificate")
		}
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, err
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
