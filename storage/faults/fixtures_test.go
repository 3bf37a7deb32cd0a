package faults_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
)

func newStore(t testing.TB, client redis.UniversalClient, o storage.Options) *storage.Store {
	t.Helper()
	s, err := storage.New(client, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// directly returns n stores on one Redis, each with a client of its own.
func directly(t *testing.T, n int, o storage.Options, client func() redis.UniversalClient) []tokenStore {
	t.Helper()
	o.Password = cheapPasswords
	stores := make([]tokenStore, n)
	for i := range stores {
		stores[i] = newStore(t, client(), o)
	}
	return stores
}

// standalone makes clients as the server does, which send a command again when the reply was lost.
func standalone(t *testing.T, addr string) func() redis.UniversalClient {
	return connect(t, redis.UniversalOptions{Addrs: []string{addr}})
}

// once makes clients that send every command once. Without a grace the model needs this: a refresh that was executed, whose reply
// was lost, and which is sent again after another caller's replay would be a rotation and a refusal at the same time.
func once(t *testing.T, addr string) func() redis.UniversalClient {
	return connect(t, redis.UniversalOptions{Addrs: []string{addr}, MaxRetries: -1})
}

func connect(t *testing.T, o redis.UniversalOptions) func() redis.UniversalClient {
	return func() redis.UniversalClient {
		c := storage.Connect(o)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
}

func login(ctx context.Context, s tokenStore, access, refresh string, req fosite.Requester) error {
	ctx, err := s.BeginTX(ctx)
	if err != nil {
		return err
	}
	if err := s.CreateAccessTokenSession(ctx, access, req); err != nil {
		return err
	}
	if err := s.CreateRefreshTokenSession(ctx, refresh, access, req); err != nil {
		return err
	}
	return s.Commit(ctx)
}

// rotateAsFosite makes the calls of fosite's refresh handler.
func rotateAsFosite(ctx context.Context, s tokenStore, presented, access, refresh string, req fosite.Requester) error {
	ctx, err := s.BeginTX(ctx)
	if err != nil {
		return err
	}
	if err := s.RotateRefreshToken(ctx, req.GetID(), presented); err != nil {
		return errors.Join(err, s.Rollback(ctx))
	}
	if err := s.CreateAccessTokenSession(ctx, access, req); err != nil {
		return err
	}
	if err := s.CreateRefreshTokenSession(ctx, refresh, access, req); err != nil {
		return err
	}
	return s.Commit(ctx)
}

func sessionRequest(id, subject string, client fosite.Client, access, refresh time.Duration) *fosite.Request {
	r := fosite.NewRequest()
	r.ID, r.Client, r.GrantedScope = id, client, fosite.Arguments{"read"}
	now := time.Now()
	s := &compact{Subject: subject, Access: now.Add(access).Unix(), Refresh: now.Add(refresh).Unix(), LoggedIn: now.Unix()}
	r.Session = s
	return r
}

// compact is a session as small as that of the authorization server. selfContained means that its access tokens are JWTs.
type compact struct {
	Subject       string `json:"sub"`
	Access        int64  `json:"ae"`
	Refresh       int64  `json:"re"`
	LoggedIn      int64  `json:"at"`
	selfContained bool
}

func (s *compact) SetExpiresAt(fosite.TokenType, time.Time) {}
func (s *compact) GetExpiresAt(kind fosite.TokenType) time.Time {
	if kind == fosite.AccessToken {
		return time.Unix(s.Access, 0)
	}
	return time.Unix(s.Refresh, 0)
}
func (s *compact) GetUsername() string       { return s.Subject }
func (s *compact) GetSubject() string        { return s.Subject }
func (s *compact) Clone() fosite.Session     { c := *s; return &c }
func (s *compact) SelfContainedAccess() bool { return s.selfContained }
