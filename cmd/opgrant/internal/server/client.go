package server

import (
	"bytes"
	"encoding/json"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/config"
	"github.com/opgrant/opgrant/storage"
)

// clientRecord translates a configured client into a stored one with these hashes of secrets.
func clientRecord(c config.Client, secrets ...string) *storage.Client {
	record := &storage.Client{
		ID: c.ID, Name: c.Name, Public: c.Secret == "" && c.JWKS == "", Secrets: secrets,
		Grants: c.Grants, Scopes: c.Scopes, Default: c.DefaultScopes, Audience: c.Audience,
		Profile: c.Profile, Algorithm: c.Algorithm, Refresh: c.Refresh,
		AccessTTL: storage.Duration(c.AccessTTL), RefreshTTL: storage.Duration(c.RefreshTTL), MaxSessionTTL: storage.Duration(c.MaxSessionTTL),
		SessionsPerUser: c.SessionsPerUser, Introspect: c.Introspect,
		ExchangeFrom: c.ExchangeFrom, Origins: c.Origins,
	}
	if c.Grace != nil {
		record.Grace = new(storage.Duration(*c.Grace))
	}
	if c.JWKS != "" {
		record.JWKS = []byte(c.JWKS)
	}
	return record
}

// CheckClient reports what is wrong with a configured client: its secret, and what the store would refuse.
func CheckClient(c config.Client) policy.Problems {
	record := clientRecord(c)
	var problems policy.Problems
	if c.Secret != "" {
		problems = policy.SecretProblems(string(c.Secret))
		record.Secrets = []string{""} // its hash is not needed for the check
	}
	return append(problems, record.Policy().Problems()...)
}

// SameClient compares clients as they are stored, where an empty list and nil are the same.
func SameClient(a, b *storage.Client) bool {
	one, errOne := json.Marshal(a)
	other, errOther := json.Marshal(b)
	return errOne == nil && errOther == nil && bytes.Equal(one, other)
}
