package faults_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"
)

// The layouts of other stores, made anew from what those document, with the content of the sessions above.

const (
	jwtAccess    = true
	opaqueAccess = false
)

// threeKeys is the layout of go-oauth2's Redis store: the data of both tokens as JSON below a random ID, and below each token that
// ID. A refresh reads what the tokens lead to and replaces the three keys, in as many commands as that store sends.
type threeKeys struct {
	rdb             redis.UniversalClient
	jwt             bool
	access, refresh []string
}

func goOAuth2Sessions(jwt bool) func(*testing.T, redis.UniversalClient, int) population {
	return func(_ *testing.T, rdb redis.UniversalClient, n int) population {
		s := &threeKeys{rdb, jwt, make([]string, n), make([]string, n)}
		return population{open: s.open, rotate: s.rotate, part: func(key string) string {
			switch {
			case len(key) == 36:
				return "data"
			case strings.HasPrefix(key, "eyJ"):
				return "access"
			}
			return "token"
		}}
	}
}

func (s *threeKeys) open(ctx context.Context, i int) error {
	now := time.Now()
	id, access, refresh := uuid(), opaque(36), opaque(36)
	if s.jwt {
		access = signedJWT(userName(i), now)
	}
	data, err := json.Marshal(map[string]any{
		"ClientID": "reporting", "UserID": userName(i), "RedirectURI": "", "Scope": "read write",
		"Code": "", "CodeChallenge": "", "CodeChallengeMethod": "", "CodeCreateAt": time.Time{}, "CodeExpiresIn": 0,
		"Access": access, "AccessCreateAt": now, "AccessExpiresIn": accessTTL,
		"Refresh": refresh, "RefreshCreateAt": now, "RefreshExpiresIn": refreshTTL,
	})
	if err != nil {
		return err
	}
	_, err = s.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, access, id, accessTTL)
		p.Set(ctx, refresh, id, refreshTTL)
		p.Set(ctx, id, data, refreshTTL)
		return nil
	})
	s.access[i], s.refresh[i] = access, refresh
	return err
}

func (s *threeKeys) rotate(ctx context.Context, i, _ int) error {
	var id string
	for range 2 { // to check the client, and to refresh
		id = s.rdb.Get(ctx, s.refresh[i]).Val()
		s.rdb.Get(ctx, id)
	}
	for _, token := range []string{s.access[i], s.refresh[i]} {
		s.rdb.Get(ctx, token)
		s.rdb.Del(ctx, token)
		s.rdb.Exists(ctx, s.refresh[i])
	}
	if err := s.rdb.Del(ctx, id).Err(); err != nil {
		return err
	}
	return s.open(ctx, i)
}

// signedJWT returns text of the length of an access token with an RS256 signature of 2048 bits.
func signedJWT(subject string, now time.Time) string {
	header := fmt.Sprintf(`{"alg":"RS256","kid":%q,"typ":"JWT"}`, keyID)
	claims := fmt.Sprintf(`{"aud":"reporting","exp":%d,"sub":%q}`, now.Add(accessTTL).Unix(), subject)
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(claims)) + "." + opaque(256)
}

func opaque(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

func uuid() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// perToken is the layout that stores for fosite usually have, Hydra's tables among them: the request as JSON below the signature
// of the access token and once more below that of the refresh token, and for each kind an index by request ID. A rotation deletes
// the access token, and keeps the used refresh token, marked, to tell reuse, until it expires.
type perToken struct {
	rdb redis.UniversalClient
	ids []string
	// The signatures of the present tokens.
	access, refresh []string
}

func fositeSessions(_ *testing.T, rdb redis.UniversalClient, n int) population {
	s := &perToken{rdb, make([]string, n), make([]string, n), make([]string, n)}
	return population{open: s.open, rotate: s.rotate, part: func(key string) string {
		name, _, _ := strings.Cut(key, ":")
		return name
	}}
}

func (s *perToken) record(i int, active bool) ([]byte, error) {
	now := time.Now()
	return json.Marshal(map[string]any{
		"id": s.ids[i], "requested_at": now, "client_id": "dashboard", "active": active,
		"requested_scope": []string{"read", "write"}, "granted_scope": []string{"read", "write"},
		"requested_audience": []string{}, "granted_audience": []string{}, "form": map[string][]string{"grant_type": {"password"}},
		"session": &fosite.DefaultSession{
			Subject: userName(i), ExpiresAt: map[fosite.TokenType]time.Time{
				fosite.AccessToken: now.Add(accessTTL).Round(time.Second), fosite.RefreshToken: now.Add(refreshTTL).Round(time.Second),
			},
			Extra: map[string]any{"address": originOf(i).address, "user_agent": originOf(i).agent},
		},
	})
}

func (s *perToken) open(ctx context.Context, i int) error {
	s.ids[i] = uuid()
	return s.write(ctx, i, nil)
}

func (s *perToken) rotate(ctx context.Context, i, _ int) error {
	if err := s.rdb.Get(ctx, "refresh:"+s.refresh[i]).Err(); err != nil {
		return err
	}
	used, err := s.record(i, false)
	if err != nil {
		return err
	}
	return s.write(ctx, i, func(p redis.Pipeliner) {
		p.Del(ctx, "access:"+s.access[i])
		p.Set(ctx, "refresh:"+s.refresh[i], used, redis.KeepTTL)
	})
}

func (s *perToken) write(ctx context.Context, i int, first func(redis.Pipeliner)) error {
	record, err := s.record(i, true)
	if err != nil {
		return err
	}
	access, refresh := opaque(32), opaque(32)
	_, err = s.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		if first != nil {
			first(p)
		}
		p.Set(ctx, "access:"+access, record, accessTTL)
		p.Set(ctx, "refresh:"+refresh, record, refreshTTL)
		p.Set(ctx, "access-of:"+s.ids[i], access, accessTTL)
		p.Set(ctx, "refresh-of:"+s.ids[i], refresh, refreshTTL)
		return nil
	})
	s.access[i], s.refresh[i] = access, refresh
	return err
}
