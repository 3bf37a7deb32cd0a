package storage

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/storagetest"
)

func (s *sessionSteps) login() {
	of := &modelSession{
		subject: pick(s, "alice", "bob"), client: pick(s, "plain", "grace", "bounded", "limited"),
		numbered: pick(s, true, false), selfContained: pick(s, true, false),
	}
	of.id, of.contained = NewSessionID(of.subject), of.selfContained
	client, c := modelClients()[of.client], s.tokens(of)
	if ttl := time.Duration(client.MaxSessionTTL); ttl > 0 {
		of.ends = s.model.now.Add(ttl)
	}
	s.note("%.6s: login of %s at %s, numbered %v, self-contained %v: %+v", of.id[22:], of.subject, of.client, of.numbered, of.contained, c)
	s.model.open(of, client.SessionsPerUser, c)
	run := func() {
		tx, err := s.store.BeginTX(s.t.Context())
		s.must(err)
		req := s.request(of, c)
		s.must(s.store.CreateAccessTokenSession(tx, Signature(of.id, c.access), req))
		s.must(s.store.CreateRefreshTokenSession(tx, RefreshSignature(of.id, c.refresh, c.number), "", req))
		s.must(s.store.Commit(tx))
	}
	run()
	if s.random.IntN(4) == 0 {
		s.note("the same again")
		run()
	}
	s.repeat = nil
}

func (s *sessionSteps) refresh(of *modelSession) {
	c := s.tokens(of)
	c.offered = of.current
	if of.current == "" || s.random.IntN(6) == 0 {
		c.offered = s.anyOf(of.refresh)
	}
	c.grace = time.Duration(*modelClients()[of.client].Grace)
	switch s.random.IntN(8) {
	case 0:
		c.refresh, c.answer = "", nil
	case 1, 2:
		c.three, c.answer = true, nil
	}
	offered := of.signature(c.offered)
	s.note("%.6s: refresh: %+v", of.id[22:], c)
	run := func() {
		outcomes, earlier := s.model.rotate(of, c)
		answer, err := s.present(of, offered, c)
		got := outcomeOf(err)
		if !slices.Contains(outcomes, got) || len(outcomes) == 1 && !bytes.Equal(answer, earlier) {
			s.t.Errorf("refresh: %s, answer %q; want %q, answer %q", got, answer, outcomes, earlier)
		}
		if got == wasUsed && !c.three {
			of.over = true
		}
	}
	run()
	s.repeat = run
}

// present refreshes a session, in one call or in the three of fosite's handler.
func (s *sessionSteps) present(of *modelSession, offered string, c modelCall) ([]byte, error) {
	ctx, req := s.t.Context(), s.request(of, c)
	access, refresh := Signature(of.id, c.access), ""
	if c.refresh != "" {
		refresh = RefreshSignature(of.id, c.refresh, c.number)
	}
	if !c.three {
		return s.store.RefreshSession(ctx, offered, access, refresh, c.answer, req)
	}
	tx, err := s.store.BeginTX(ctx)
	s.must(err)
	s.must(s.store.RotateRefreshToken(tx, of.id, offered))
	s.must(s.store.CreateAccessTokenSession(tx, access, req))
	s.must(s.store.CreateRefreshTokenSession(tx, refresh, access, req))
	return nil, s.store.Commit(tx)
}

// tokens names new tokens. What they last is never near a multiple of half an hour, and no two sessions expire together.
func (s *sessionSteps) tokens(of *modelSession) modelCall {
	s.count++
	apart := 5*time.Minute + time.Duration(s.count)*2*time.Second
	c := modelCall{
		access: fmt.Sprintf("a%d", s.count), refresh: fmt.Sprintf("r%d", s.count), answer: fmt.Appendf(nil, "answer %d", s.count),
		accessTTL:  pick(s, 0, time.Hour) + apart,
		refreshTTL: pick(s, 30*time.Minute, 150*time.Minute) + apart,
	}
	if of.numbered {
		c.number = of.number + 1
	}
	return c
}

func (s *sessionSteps) request(of *modelSession, c modelCall) *fosite.Request {
	client, err := s.store.Client(s.t.Context(), of.client)
	s.must(err)
	session := storagetest.Session{Subject: of.subject}
	session.SetExpiresAt(fosite.AccessToken, time.Now().Add(c.accessTTL))
	session.SetExpiresAt(fosite.RefreshToken, time.Now().Add(c.refreshTTL))
	req := &fosite.Request{ID: of.id, Client: client, Session: &session}
	if of.selfContained {
		req.Session = &selfContained{session}
	}
	return req
}

type selfContained struct{ storagetest.Session }

func (*selfContained) SelfContainedAccess() bool { return true }

// check compares the store with the model.
func (s *sessionSteps) check() {
	ctx := s.t.Context()
	expect := func(of *modelSession, name string, want []string, err error) {
		if got := outcomeOf(err); !slices.Contains(want, got) {
			s.t.Errorf("%.6s: %s: %s, want %q", of.id[22:], name, got, want)
		}
	}
	listed := make(map[string]bool)
	for _, subject := range []string{"alice", "bob"} {
		list, err := s.store.SessionsOf(ctx, subject)
		s.must(err)
		for _, info := range list {
			listed[info.ID] = true
		}
	}
	for _, of := range s.model.sessions {
		if must := s.model.valid(of) && !of.indexed.IsZero(); listed[of.id] && of.over || must && !listed[of.id] {
			s.t.Errorf("%.6s: listed: %v", of.id[22:], listed[of.id])
		}
		if of.over && of.checked {
			continue
		}
		of.checked = of.over
		for name := range of.access {
			_, err := s.store.GetAccessTokenSession(ctx, Signature(of.id, name), &storagetest.Session{})
			expect(of, name, s.model.lookUpAccess(of, name), err)
		}
		for name := range of.refresh {
			_, err := s.store.GetRefreshTokenSession(ctx, of.signature(name), &storagetest.Session{})
			expect(of, name, s.model.lookUpRefresh(of, name), err)
		}
	}
}
