package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// FuzzSessions takes random steps, here and on a model, and compares all that can be asked after each: which tokens are good, which
// are known as used, and which sessions are listed. The seed decides the steps.
func FuzzSessions(f *testing.F) {
	for seed := range uint64(24) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		s := newSessionSteps(t, seed)
		for range 60 {
			s.step()
			if s.check(); t.Failed() {
				t.Fatalf("after\n%s", strings.Join(s.trace, "\n"))
			}
		}
	})
}

type sessionSteps struct {
	t        *testing.T
	random   *rand.Rand
	instance *storagetest.Instance
	store    *Store
	model    sessionModel
	count    int // of names
	repeat   func()
	trace    []string
}

// modelClients are the clients of the steps.
func modelClients() map[string]*Client {
	minute, none := Duration(time.Minute), Duration(0)
	one := func(id string) *Client {
		return &Client{ID: id, Public: true, Grants: []string{"password"}, Grace: &none}
	}
	clients := map[string]*Client{"plain": one("plain"), "grace": one("grace"), "bounded": one("bounded"), "limited": one("limited")}
	clients["grace"].Grace = &minute
	clients["bounded"].MaxSessionTTL = Duration(125 * time.Minute)
	clients["limited"].SessionsPerUser = 2
	return clients
}

func newSessionSteps(t *testing.T, seed uint64) *sessionSteps {
	t.Helper()
	instance := storagetest.StartMiniredis(t)
	store, err := New(instance.Client(t), Options{Password: cheap, Timeout: hang})
	if err != nil {
		t.Fatal(err)
	}
	store.later.running = true // a step runs them
	mustAdd(t, store.Users, "alice", "one", "")
	for _, client := range modelClients() {
		if err := store.PutClient(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	s := &sessionSteps{t: t, random: rand.New(rand.NewPCG(seed, 0)), instance: instance, store: store, model: sessionModel{now: time.Now()}}
	instance.Advance(0) // from here on the clock stands still between steps
	return s
}

func (s *sessionSteps) note(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf(format, args...))
}

func (s *sessionSteps) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Errorf("%v", err)
	}
}

func pick[T any](s *sessionSteps, list ...T) T { return list[s.random.IntN(len(list))] }

func (s *sessionSteps) step() {
	ctx := s.t.Context()
	kind := s.random.IntN(20)
	if len(s.model.sessions) == 0 || kind < 3 {
		s.login()
		return
	}
	of := s.model.sessions[max(0, len(s.model.sessions)-1-s.random.IntN(5))]
	switch kind {
	case 3, 4, 5, 6, 7, 8, 9:
		s.refresh(of)
	case 10:
		for range 10 {
			s.refresh(of)
		}
	case 11:
		if s.repeat != nil {
			s.note("the same again")
			s.repeat()
		}
	case 12:
		name := s.anyOf(of.access)
		s.note("%.6s: drop %s", of.id[22:], name)
		s.must(s.store.DeleteAccessTokenSession(ctx, Signature(of.id, name)))
		if token := of.access[name]; token != nil {
			token.revoked = true
		}
		s.model.endUnlessValid(of)
	case 13:
		name := s.anyOf(of.refresh)
		s.note("%.6s: drop %s", of.id[22:], name)
		s.must(s.store.DeleteRefreshTokenSession(ctx, of.signature(name)))
		s.model.dropRefresh(of, name)
	case 14:
		s.note("%.6s: revoke access", of.id[22:])
		s.must(s.store.RevokeAccessToken(ctx, of.id))
		s.model.revoke(of, true, false)
	case 15:
		s.note("%.6s: revoke refresh", of.id[22:])
		s.must(s.store.RevokeRefreshToken(ctx, of.id))
		s.model.revoke(of, false, true)
	case 16:
		s.note("%.6s: revoke", of.id[22:])
		s.must(s.store.RevokeSession(ctx, of.id))
		s.model.revoke(of, true, true)
	case 17:
		s.end(of)
	case 18:
		s.note("lose the index of %s", of.subject)
		s.must(s.store.db.Client.Del(ctx, s.store.db.Keys.Sessions(sessionKey(of.id).tag())).Err())
		for _, other := range s.model.sessions {
			if other.subject == of.subject {
				other.indexed = time.Time{}
			}
		}
		if s.random.IntN(2) == 0 {
			s.end(of)
		}
	case 19:
		pause := pick(s, 30*time.Minute, 90*time.Minute)
		s.note("%v pass", pause)
		for chunk := s.store.later.take(); len(chunk) > 0; chunk = s.store.later.take() {
			s.must(s.store.later.send(s.store.db, chunk))
		}
		s.store.later.running = true
		s.instance.Advance(pause)
		s.model.now = s.model.now.Add(pause)
	}
}

// end ends the sessions of a subject or a client.
func (s *sessionSteps) end(of *modelSession) {
	ended := func(other *modelSession) bool { return other.subject == of.subject }
	if s.random.IntN(3) > 0 {
		s.note("end the sessions of %s", of.subject)
		s.must(s.store.RevokeSubject(s.t.Context(), of.subject))
	} else {
		s.note("end the sessions at %s", of.client)
		_, err := s.store.RevokeClient(s.t.Context(), of.client)
		s.must(err)
		ended = func(other *modelSession) bool { return other.client == of.client }
	}
	for _, other := range s.model.sessions {
		other.over = other.over || ended(other)
	}
}

// signature is that of a refresh token, which need not be known.
func (of *modelSession) signature(name string) string {
	number := of.number
	if token := of.refresh[name]; token != nil {
		number = token.number
	}
	if !of.numbered {
		number = 0
	}
	return RefreshSignature(of.id, name, number)
}

// anyOf returns the name of a token of a session, or of none.
func (s *sessionSteps) anyOf(tokens map[string]*modelToken) string {
	names := []string{"unknown"}
	for name := range tokens {
		names = append(names, name)
	}
	slices.Sort(names)
	return pick(s, names...)
}

func outcomeOf(err error) string {
	switch {
	case err == nil:
		return found
	case errors.Is(err, fosite.ErrInactiveToken):
		return wasUsed
	case errors.Is(err, fosite.ErrNotFound):
		return missing
	case errors.Is(err, fosite.ErrSerializationFailure):
		return conflict
	}
	return err.Error()
}
