package storage

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

//go:embed transition.lua
var transitionSource string

var transitionScript = redisdb.NewScript(transitionSource)

// transition is one change of one session: a login, a refresh or a revocation. Its exported fields are the argument of
// transition.lua; those that are zero change nothing. TTLs are relative and in milliseconds, so that Redis's clock alone
// decides what has expired.
type transition struct {
	key      sessionKey
	request  string // the request ID, where a call has named it
	clientID string
	used     string                   // hash that names the answer: of the presented token
	sealed   []byte                   // the answer to keep
	pointers map[string]time.Duration // :: Redis key → TTL, for foreign signatures and request IDs
	code     string                   // Redis key of the authorization code that the step uses
	codeMark []byte                   // 16 random bytes that tell this use of it from others

	Name   string `json:"name"`             // the session's name within its subject
	Create bool   `json:"create,omitempty"` // the session may be new
	User   string `json:"user,omitempty"`   // revision that the user record must have
	Member string `json:"member,omitempty"` // of the subject's index
	Suffix string `json:"suffix,omitempty"` // of the members of this client
	Limit  int    `json:"limit,omitempty"`  // sessions of the subject at this client

	Doc       string `json:"doc,omitempty"`
	ID        string `json:"id,omitempty"`
	Address   string `json:"ip,omitempty"`
	UserAgent string `json:"ua,omitempty"`
	Max       int64  `json:"max,omitempty"` // TTL of the whole session

	ClientGeneration string `json:"client_generation,omitempty"` // of a new session
	Parent           string `json:"parent,omitempty"`            // of a new session: hash of the access token it was made from

	Present    string `json:"present,omitempty"`      // hash of the refresh token that was presented: it must be the current one
	Retire     bool   `json:"retire,omitempty"`       // it becomes a used one
	EndOnReuse bool   `json:"end_on_reuse,omitempty"` // the session ends when it is a used one already
	Grace      int64  `json:"grace,omitempty"`
	Doubt      int64  `json:"doubt,omitempty"`    // TTL of the answer, in place of the grace, until it is confirmed
	Withheld   int64  `json:"withheld,omitempty"` // an answer with a longer TTL is not given out yet
	Refresh    string `json:"refresh,omitempty"`  // hash of a new refresh token
	RefreshTTL int64  `json:"refresh_ttl"`

	Access        string `json:"access,omitempty"` // hash of a new access token
	AccessTTL     int64  `json:"access_ttl"`
	SelfContained bool   `json:"self_contained,omitempty"` // the new access token needs no entry

	DropAccess  string `json:"drop_access,omitempty"` // hash of a token to revoke
	DropRefresh string `json:"drop_refresh,omitempty"`
	EndRefresh  bool   `json:"end_refresh,omitempty"` // revoke all tokens of this kind
	EndAccess   bool   `json:"end_access,omitempty"`
}

// The results of transition.lua.
const (
	resultOK     = "ok"
	resultReplay = "replay" // used within the grace period or in doubt: the earlier answer follows
	resultBusy   = "busy"   // used within the grace period, and no answer was kept or it is not given out yet
	resultUsed   = "used"   // used, and the grace period is over
	resultNone   = "none"   // there is no such session or token
	resultUser   = "user"   // the user has changed since it was read
	resultBad    = "bad"    // a record cannot be read
	resultCode   = "code"   // the authorization code was used by another step
)

// commit runs the transition. It returns the earlier answer if the presented token was used within its grace period.
func (t *Tokens) commit(ctx context.Context, s *transition) ([]byte, error) {
	const op = "transition"
	payload, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("storage: encode transition: %w", err)
	}
	if err := t.writePointers(ctx, s); err != nil {
		return nil, err
	}
	k, tag, name := t.db.Keys, s.key.tag(), s.key.name()
	call := redisdb.Call{
		Script: transitionScript,
		Keys:   []string{k.Session(tag, name), k.SubjectIndex(tag), k.Evicted(tag), k.Answer(tag, name, s.used), k.User(tag)},
		Args:   []any{payload, s.sealed},
	}
	if s.code != "" {
		call.Keys, call.Args = append(call.Keys, s.code), append(call.Args, s.codeMark)
	}
	reply, err := t.db.Eval(ctx, op, call, t.clientIndexCalls(s)...)
	if err != nil {
		return nil, err
	}
	result, answer, err := parseResult(reply)
	if err != nil {
		return nil, unavailable.Error(op, err)
	}
	switch result {
	case resultOK:
		return nil, nil
	case resultReplay:
		return answer, nil
	case resultBusy:
		if s.Withheld > 0 {
			return nil, unavailable.Error(op, errWithheld)
		}
		return nil, fosite.ErrSerializationFailure
	case resultCode:
		return nil, fosite.ErrInvalidatedAuthorizeCode
	case resultUsed:
		return nil, fosite.ErrInactiveToken
	case resultNone, resultUser:
		return nil, t.db.Missing(ctx, op)
	case resultBad:
		return nil, unavailable.Error(op, unavailable.ErrRecord)
	}
	return nil, unavailable.Error(op, fmt.Errorf("unknown result %q of a script", result))
}

func parseResult(reply any) (result string, answer []byte, err error) {
	parts, ok := reply.([]any)
	if !ok || len(parts) == 0 {
		return "", nil, errors.New("unexpected reply of a script")
	}
	result, ok = parts[0].(string)
	if !ok {
		return "", nil, errors.New("unexpected reply of a script")
	}
	if len(parts) > 1 {
		text, _ := parts[1].(string)
		answer = []byte(text)
	}
	return result, answer, nil
}

// pointerScript writes a pointer. It never shortens the TTL of one that is there.
//
//	KEYS  1 pointer
//	ARGV  1 session key   2 TTL in ms
//	reply {'ok'}
var pointerScript = redisdb.NewScript(`
redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
local ttl = redis.call('PTTL', KEYS[1])
if ttl < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return {'ok'}`)

// writePointers writes the pointers from foreign signatures and request IDs to the session. They are written first: a
// pointer without a session expires and does no harm, but a session without its pointers could not be found.
func (t *Tokens) writePointers(ctx context.Context, s *transition) error {
	for pointer, ttl := range s.pointers {
		c := redisdb.Call{Script: pointerScript, Keys: []string{pointer}, Args: []any{string(s.key), max(ttl.Milliseconds(), 1)}}
		if _, err := t.db.Eval(ctx, "write pointer", c); err != nil {
			return err
		}
	}
	return nil
}

// indexScript adds a session to an index, removes what has expired, and keeps the index until its last session expires.
//
//	KEYS  1 index
//	ARGV  1 session key   2 TTL in ms
//	reply {'ok'}
var indexScript = redisdb.NewScript(`
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], 'GT', now + ARGV[2], ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], last[2])
return {'ok'}`)

// clientIndexCalls add the session to its client's index. They share the round trip of the transition, but the index may be
// on another node of a cluster, and a failure there must not fail the session: it serves lists alone.
func (t *Tokens) clientIndexCalls(s *transition) []redisdb.Call {
	if s.clientID == "" || s.Refresh == "" && (s.Access == "" || !s.Create) {
		return nil
	}
	ttl := max(s.RefreshTTL, s.AccessTTL)
	return []redisdb.Call{{Script: indexScript, Keys: []string{t.db.Keys.ClientIndex(s.clientID)}, Args: []any{string(s.key), ttl}}}
}
