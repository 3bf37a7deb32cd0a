package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ory/fosite"
)

// step adds a change to the session of a new token: to the transaction of the context, or as a transition of its own.
func (t *Tokens) step(ctx context.Context, requestID, signature string, change func(s *transition, hash string) error) error {
	at, _, native := parseSignature(signature)
	if own, ok := parseSessionID(requestID); !native && ok {
		at = own
	}
	return t.stepAt(ctx, at, func(s *transition) error { return change(s, t.hashOf(signature)) })
}

func (t *Tokens) stepAt(ctx context.Context, at location, change func(s *transition) error) error {
	b := batchFrom(ctx)
	if b == nil || b.depth == 0 {
		s := &transition{at: at}
		if err := change(s); err != nil {
			return err
		}
		s.Rest = s.at.rest()
		answer, err := t.commit(ctx, s)
		if err == nil && answer != nil {
			return fosite.ErrSerializationFailure // likewise for a rotation outside of a transaction
		}
		return err
	}
	s := b.pending
	if s == nil {
		s = &transition{at: at}
	} else if at != "" && s.at != at {
		return errors.New("storage: one transaction changes one session")
	}
	if err := change(s); err != nil {
		return err
	}
	s.Rest = s.at.rest()
	b.pending = s
	return nil
}

// describe puts into the transition what it must know of the request: the stored document, its index entries and policy.
func (t *Tokens) describe(ctx context.Context, s *transition, req fosite.Requester) error {
	subject := req.GetSession().GetSubject()
	if s.at == "" {
		// A request ID of fosite's own making: its session lies with the subject's others all the same.
		tag := subjectTag(subject)
		if subject == "" {
			tag = hash(req.GetID())[:tagLength]
		}
		s.at = location(tag + hash("request\x00" + req.GetID())[:tagLength])
	}
	doc, err := encodeRequest(req)
	if err != nil {
		return err
	}
	s.Doc = doc
	if req.GetID() != string(s.at) {
		s.ID = req.GetID()
	}
	client := t.db.policyOf(req.GetClient())
	s.client = req.GetClient().GetID()
	s.Max = client.MaxSessionTTL.Milliseconds()
	s.Address, s.UserAgent = origin(req.GetSession())
	p, ok := req.GetSession().(selfProving)
	s.Proven = ok && p.SelfContainedAccess()
	if s.at.tag() == subjectTag(subject) {
		s.Suffix = ":" + hash(s.client)[:11]
		s.Member = s.at.rest() + s.Suffix
		s.Limit = client.SessionsPerUser
	}
	if a := batchFrom(ctx).known(subject); a != nil && a.record != nil {
		state, err := decodeAccount(a.record)
		if err != nil {
			return err
		}
		s.User = state.Revision
	}
	if s.Retire {
		s.Grace = client.Grace.Milliseconds()
	}
	return nil
}

// point adds the pointers that a foreign signature and a foreign request ID need.
func (t *Tokens) point(s *transition, signature string, req fosite.Requester, ttl int64) error {
	if s.at == "" {
		return fmt.Errorf("storage: request %q has no session", req.GetID())
	}
	life := time.Duration(ttl) * time.Millisecond
	add := func(key string) {
		if s.pointers == nil {
			s.pointers = make(map[string]time.Duration, 3)
		}
		s.pointers[key] = max(s.pointers[key], life)
	}
	if _, _, native := parseSignature(signature); !native {
		add(t.db.keys.signature(signature))
	}
	if s.ID != "" {
		add(t.db.keys.request(s.ID))
	}
	return nil
}

// hashOf is the name of a token inside its session.
func (t *Tokens) hashOf(signature string) string {
	if _, h, ok := parseSignature(signature); ok {
		return h
	}
	return hash(signature)
}

// locate finds the session of a signature: in the signature itself, or by one look-up for a foreign one.
func (t *Tokens) locate(ctx context.Context, signature string) (at location, tokenHash string, err error) {
	if at, tokenHash, ok := parseSignature(signature); ok {
		return at, tokenHash, nil
	}
	if signature == "" {
		return "", "", fosite.ErrNotFound
	}
	at, err = t.follow(ctx, t.db.keys.signature(signature))
	return at, hash(signature), err
}

func (t *Tokens) locateRequest(ctx context.Context, requestID string) (location, error) {
	if at, ok := parseSessionID(requestID); ok {
		return at, nil
	}
	return t.follow(ctx, t.db.keys.request(requestID))
}
