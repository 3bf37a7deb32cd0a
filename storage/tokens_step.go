package storage

import (
	"context"
	"errors"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// changeOfToken applies a change to the session of a new token.
func (t *Tokens) changeOfToken(ctx context.Context, requestID, signature string, change func(s *transition) error) error {
	key, _, native := parseSignature(signature)
	if own, ok := parseSessionID(requestID); !native && ok {
		key = own
	}
	return t.change(ctx, key, change)
}

// change applies a change to a session: within a transaction to its one transition, otherwise as a transition of its own.
func (t *Tokens) change(ctx context.Context, key sessionKey, change func(s *transition) error) error {
	b := batchFrom(ctx)
	if b == nil || b.depth == 0 {
		s := &transition{key: key}
		if err := change(s); err != nil {
			return err
		}
		s.step.Own = s.key.own()
		answer, err := t.commit(ctx, s)
		return replayed(answer, err)
	}
	s := b.pending
	if s == nil {
		s = &transition{key: key}
	} else if key != "" && s.key != key {
		return errOneSession
	}
	if err := change(s); err != nil {
		return err
	}
	s.step.Own = s.key.own()
	b.pending = s
	return nil
}

// errOneSession is returned for the second session of a transaction, and the transaction must be rolled back.
var errOneSession = errors.New("storage: one transaction changes one session")

// of notes whose session the transition changes. A foreign request ID does not tell the key of its session, so two of them
// could not be told apart by their keys.
func (s *transition) of(requestID string) error {
	if s.request != "" && s.request != requestID {
		return errOneSession
	}
	s.request = requestID
	return nil
}

// showsToken notes the refresh token that was presented.
func (s *transition) showsToken(token tokenName, signature string) {
	s.noteForeign(signature)
	s.token, s.step.Presented = &token, token.number
}

func (s *transition) noteForeign(signature string) {
	_, _, native := parseSignature(signature)
	s.foreign = s.foreign || !native
}

// replayed refuses an earlier answer, of RefreshSession, where the caller has prepared another one.
func replayed(answer []byte, err error) error {
	if err == nil && answer != nil {
		return fosite.ErrSerializationFailure
	}
	return err
}

// fill copies into the transition what the request tells: the stored document, the index entries and the client's policy.
func (t *Tokens) fill(ctx context.Context, s *transition, req fosite.Requester) error {
	if err := s.of(req.GetID()); err != nil {
		return err
	}
	subject := req.GetSession().GetSubject()
	if s.key == "" {
		s.key = keyOfRequest(req)
	}
	doc, err := encodeRequest(req)
	if err != nil {
		return err
	}
	s.doc = doc
	if req.GetID() != string(plainKey(subject, s.key.raw())) {
		s.id = req.GetID()
	}
	client := t.policyOf(req.GetClient())
	s.step.Max = max(min(client.MaxSessionTTL, maxTTL), 0).Milliseconds()
	if s.step.Retire {
		s.step.Grace = client.Grace.Milliseconds()
	}
	_, s.agent = origin(req.GetSession())
	contained, ok := req.GetSession().(selfContainedSession)
	s.step.SelfContained = ok && contained.SelfContainedAccess()
	if s.key.tag() == redisdb.SubjectTag(subject) {
		s.step.List = true
		if s.step.Limit = client.SessionsPerUser; s.step.Limit > 0 {
			clientHash := redisdb.Hash(req.GetClient().GetID())
			s.mark = redisdb.RawName(redisdb.Hash("subject and client\x00" + subject + "\x00" + clientHash))[:indexMark]
			s.step.Suffix = ":" + clientHash[:11]
		}
	}
	if a := batchFrom(ctx).known(subject); a != nil {
		state, err := a.state()
		if err != nil {
			return err
		}
		if state != nil {
			s.step.User = state.Revision
		}
	}
	return nil
}

// fillNew is fill for a session that may be new.
func (t *Tokens) fillNew(ctx context.Context, s *transition, req fosite.Requester) error {
	if err := t.fill(ctx, s, req); err != nil {
		return err
	}
	s.step.Create = true
	if derived, ok := req.GetSession().(derivedSession); ok {
		if signature := derived.MadeFromAccessToken(); signature != "" {
			s.parent = nameOf(signature).raw()
		}
	}
	generation, err := t.generationOf(ctx, req.GetClient())
	if err != nil {
		return err
	}
	s.clientGeneration = rawGeneration(generation)
	return nil
}

// indexMark is the length of the hash of subject and client in the index of sessions: no caller can find another pair with the same.
const indexMark = 10

// policyClient is a client that says how its sessions behave, as Client does.
type policyClient interface {
	fosite.Client
	Policy() policy.Client
}

// policyOf returns the policy of a client. Its grace is the one in force even for clients of a third-party registry, which
// nothing has validated.
func (t *Tokens) policyOf(client fosite.Client) policy.Client {
	p := policy.Client{Grace: t.grace, SessionsPerUser: t.sessionsPerUser}
	if c, ok := client.(policyClient); ok {
		p = c.Policy()
	}
	p.Grace = p.RotationGrace()
	return p
}

// originSession is a session that says from where it was opened or used, for lists that people read.
type originSession interface {
	Origin() (address, userAgent string)
}

// derivedSession is a session that was made from an access token. It returns the signature of that token, which must be one
// that Signature made, or "".
type derivedSession interface {
	MadeFromAccessToken() (signature string)
}

// selfContainedSession is a session that may say that its access tokens are self-contained (RFC 7009 section 3): signed, and
// verified before the store is asked about them. Then they need no record each, however many a client fetches. The
// signatures must be made by Signature.
type selfContainedSession interface {
	SelfContainedAccess() bool
}

const maxUserAgent = 200

func origin(s fosite.Session) (address, userAgent string) {
	o, ok := s.(originSession)
	if !ok {
		return "", ""
	}
	address, userAgent = o.Origin()
	return address, userAgent[:min(len(userAgent), maxUserAgent)]
}

// maxTTL is the longest TTL that a key gets. Redis refuses much longer ones.
const maxTTL = 100 * 365 * 24 * time.Hour

// ttl is the TTL of a token of the request in milliseconds. A session without an expiry means never, but every key must
// expire: then it is 30 days, fosite's own default.
func ttl(req fosite.Requester, kind fosite.TokenType) int64 {
	expires := req.GetSession().GetExpiresAt(kind)
	if expires.IsZero() {
		return (30 * 24 * time.Hour).Milliseconds()
	}
	return max(min(time.Until(expires), maxTTL), 0).Milliseconds()
}
