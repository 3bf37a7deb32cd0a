package storage_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// testdata/records-v1.jsonl is a store that the version with JSON records wrote to Redis 7.0, key by key, and
// testdata/records-v1.json says what each of its sessions is. They were made once, by a program on that version that
//
//   - served an authserver.Server from the store, whose clock stood at the beginning of 2025 and whose tokens are valid until 2060,
//     and sent it the requests that the names of the sessions tell: logins, refreshes, token exchanges, imported tokens;
//   - served a stock fosite server (compose, HMAC tokens) from the same store, for the sessions named "stock";
//   - broke the connection after a rotation had run and before its reply was read, for the answers in doubt;
//   - deleted the indexes by hand before it ended the sessions of a user or a client, for those whose index was lost;
//   - then read every key with its TTL. Counters of failures, known networks and usage were left out. The TTL of the answer in
//     doubt without a grace was set to ten minutes, at which time it is no longer withheld.
//
// The hashes of passwords are cheap, and the signing keys are encrypted with the secret in the manifest. Nothing in these files is
// used anywhere else.

// recordsV1 is the manifest.
type recordsV1 struct {
	Issuer   string      `json:"issuer"`
	Secret   string      `json:"secret"` // of the signing keys
	Sessions []*recordV1 `json:"sessions"`
}

// recordV1 is a session, and what the version that wrote it answers about it.
type recordV1 struct {
	Name        string    `json:"name"`
	ID          string    `json:"id"`
	Client      string    `json:"client"`
	Subject     string    `json:"subject,omitempty"`
	Scopes      []string  `json:"scopes,omitempty"`
	Stock       bool      `json:"stock,omitempty"`       // the session is a fosite.DefaultSession, otherwise an authserver.Session
	Listed      bool      `json:"listed,omitempty"`      // by subject and by client
	Refreshable bool      `json:"refreshable,omitempty"` // as it is listed
	Created     int64     `json:"created,omitempty"`     // of a listed one, in milliseconds, and so LastUsed
	LastUsed    int64     `json:"last_used,omitempty"`
	Address     string    `json:"address,omitempty"`
	UserAgent   string    `json:"user_agent,omitempty"`
	Tokens      []tokenV1 `json:"tokens"`
}

// tokenV1 is a token of a session.
type tokenV1 struct {
	Name      string `json:"name"`
	Refresh   bool   `json:"refresh,omitempty"`
	Raw       string `json:"raw,omitempty"`
	Signature string `json:"signature"`
	Want      string `json:"want"`             // "found", "used" (fosite.ErrInactiveToken) or "not found"
	Owner     bool   `json:"owner,omitempty"`  // TokenOwner finds it
	Answer    []byte `json:"answer,omitempty"` // what a refresh with it gets again
}

// lineV1 is a key. Its value is a string, or for a hash, a set and a sorted set an object, a list, and an object of scores.
type lineV1 struct {
	Key    string          `json:"key"`
	Type   string          `json:"type"`
	Base64 bool            `json:"base64,omitempty"` // of a string that is not UTF-8
	Value  json.RawMessage `json:"value"`
	TTL    int64           `json:"ttl_ms,omitempty"` // when it was written; 0: none
}

// loadRecordsV1 writes the records into an empty Redis, with the TTLs that they had, and returns the manifest.
func loadRecordsV1(t *testing.T, client redis.UniversalClient) recordsV1 {
	t.Helper()
	file, err := os.Open("testdata/records-v1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line lineV1
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if err := line.write(t.Context(), client); err != nil {
			t.Fatalf("%s: %v", line.Key, err)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("testdata/records-v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var m recordsV1
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func (l *lineV1) write(ctx context.Context, client redis.UniversalClient) error {
	var err error
	switch l.Type {
	case "string":
		var text string
		if l.Base64 {
			var raw []byte
			err = json.Unmarshal(l.Value, &raw)
			text = string(raw)
		} else {
			err = json.Unmarshal(l.Value, &text)
		}
		if err == nil {
			err = client.Set(ctx, l.Key, text, 0).Err()
		}
	case "hash":
		var fields map[string]string
		if err = json.Unmarshal(l.Value, &fields); err == nil {
			err = client.HSet(ctx, l.Key, fields).Err()
		}
	case "set":
		var members []any
		if err = json.Unmarshal(l.Value, &members); err == nil {
			err = client.SAdd(ctx, l.Key, members...).Err()
		}
	case "zset":
		var scores map[string]float64
		err = json.Unmarshal(l.Value, &scores)
		for member, score := range scores {
			if err == nil {
				err = client.ZAdd(ctx, l.Key, redis.Z{Member: member, Score: score}).Err()
			}
		}
	}
	if err == nil && l.TTL > 0 {
		err = client.PExpire(ctx, l.Key, time.Duration(l.TTL)*time.Millisecond).Err()
	}
	return err
}
