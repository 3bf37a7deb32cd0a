package authserver_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/storage"
)

// racingStorage lets something happen between the check of a token and the writes that follow from it.
type racingStorage struct {
	*storage.Store
	once sync.Once
	race func()
}

func (s *racingStorage) CreateAccessTokenSession(ctx context.Context, signature string, req fosite.Requester) error {
	s.once.Do(s.race)
	return s.Store.CreateAccessTokenSession(ctx, signature, req)
}

func (s *racingStorage) CreateRefreshTokenSession(ctx context.Context, signature, access string, req fosite.Requester) error {
	s.once.Do(s.race)
	return s.Store.CreateRefreshTokenSession(ctx, signature, access, req)
}

// No session is opened by an imported token that was revoked, or whose user's tokens were ended, after it was checked.
func TestAnImportedTokenOpensNothingOnceItsRightHasEnded(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		sign := importKey(t, ts)
		other := "another right password"
		races := map[string]func(user, token string){
			"sessions ended": func(user, _ string) { check(t, ts.store.RevokeSubject(t.Context(), user)) },
			"a new password": func(user, _ string) {
				check(t, ts.store.Users.ChangeUser(t.Context(), user, storage.UserChange{Password: &other}))
			},
			"the token revoked": func(_, token string) { revokeAs(ts, "old", token) },
			"the token used and revoked": func(_, token string) {
				ts.want("used", ts.refresh("old", token), 200, "")
				revokeAs(ts, "old", token)
			},
		}
		inRace := func(race func(), request func() reply) reply {
			first := ts.url
			ts.start(func(c *authserver.Config) {
				c.Storage = &racingStorage{Store: ts.store, race: func() {
					second := ts.url
					ts.url = first
					race()
					ts.url = second
				}}
			})
			defer func() { ts.url = first }()
			return request()
		}
		issued := time.Now().Add(-time.Minute)
		for name, race := range races {
			check(t, ts.store.Users.AddVerifiedUser(t.Context(), storage.User{Name: name, Active: true}, "a right password"))
			token := sign(name, "refresh", issued)
			ts.want(name, inRace(func() { race(name, token) }, func() reply { return ts.refresh("old", token) }), 400, "invalid_grant")
			ts.want(name+", again", ts.refresh("old", token), 400, "invalid_grant")
			if list, err := ts.store.SessionsOf(t.Context(), name); err != nil || len(list) > 0 {
				t.Errorf("%s: sessions %+v, %v", name, list, err)
			}
		}

		check(t, ts.store.Users.AddVerifiedUser(t.Context(), storage.User{Name: "exchanger", Active: true}, "a right password"))
		access := sign("exchanger", "operation", issued)
		r := inRace(func() { races["sessions ended"]("exchanger", "") }, func() reply { return ts.exchange("web", access, typeAccess) })
		if r.status != 400 {
			t.Errorf("an exchange: %d %s", r.status, r.raw)
		}
		if list, err := ts.store.SessionsOf(t.Context(), "exchanger"); err != nil || len(list) > 0 {
			t.Errorf("sessions %+v, %v", list, err)
		}
	})
}

func revokeAs(ts *testServer, client, token string) {
	ts.t.Helper()
	if r := ts.post("/oauth2/revoke", client, "token", token); r.status != 200 {
		ts.t.Errorf("revocation: %d %s", r.status, r.raw)
	}
}
