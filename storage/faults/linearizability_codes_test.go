package faults_test

import (
	"context"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// checksThenSets uses a code by itself, before the transaction that stores the tokens, and does not care whether it was the first.
type checksThenSets struct{ *storage.Store }

func (m checksThenSets) InvalidateAuthorizeCodeSession(_ context.Context, signature string) error {
	ctx := context.Background()
	if _, err := m.GetAuthorizeCodeSession(ctx, signature, &compact{}); err != nil {
		return err
	}
	time.Sleep(time.Millisecond)
	_ = m.Store.InvalidateAuthorizeCodeSession(ctx, signature)
	return nil
}

// usesAtOnce uses a code before the transaction that stores the tokens.
type usesAtOnce struct{ *storage.Store }

func (m usesAtOnce) InvalidateAuthorizeCodeSession(_ context.Context, signature string) error {
	err := m.Store.InvalidateAuthorizeCodeSession(context.Background(), signature)
	time.Sleep(2 * time.Millisecond)
	return err
}

// tokensAtOnce stores tokens before the commit, so that a redemption that is refused then has stored some.
type tokensAtOnce struct{ *storage.Store }

func (m tokensAtOnce) CreateAccessTokenSession(_ context.Context, signature string, req fosite.Requester) error {
	return m.Store.CreateAccessTokenSession(context.Background(), signature, req)
}

// keepsCodes ends the sessions of a subject, and not its codes.
type keepsCodes struct{ *storage.Store }

func (m keepsCodes) RevokeSubject(ctx context.Context, subject string) error {
	list, err := m.SessionsOf(ctx, subject)
	for _, info := range list {
		if err == nil {
			err = m.RevokeSession(ctx, info.ID)
		}
	}
	return err
}

func TestLinearizabilityTestCatchesMistakesWithCodes(t *testing.T) {
	for name, wrong := range map[string]func(*storage.Store) tokenStore{
		"a code is checked, then used":                 func(s *storage.Store) tokenStore { return checksThenSets{s} },
		"a code is used outside of the transaction":    func(s *storage.Store) tokenStore { return usesAtOnce{s} },
		"tokens are stored outside of the transaction": func(s *storage.Store) tokenStore { return tokensAtOnce{s} },
		"revoke-all keeps codes":                       func(s *storage.Store) tokenStore { return keepsCodes{s} },
		"none":                                         func(s *storage.Store) tokenStore { return s },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := storagetest.StartRedis(t, storagetest.Options{})
			stores, _ := servers(t, srv.Addr, 1, storagetest.Faults{}, once)
			e := newEngine(true, wrong(stores[0].(*storage.Store)))
			e.register(t, srv.Addr)
			e.run(e.untilOps(6_000))
			withCode, redeemed, _ := e.codes()
			illegal, unchecked := e.check(func(string, ...any) {})
			t.Logf("%d of %d sessions illegal, %d not checked in time; %d codes, %d redeemed", illegal, len(e.sessions), unchecked, withCode, redeemed)
			if (illegal > 0) != (name != "none") {
				t.Errorf("%d illegal histories", illegal)
			}
		})
	}
}
