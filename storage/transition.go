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

var (
	//go:embed record.lua
	recordSource string
	//go:embed old_record.lua
	oldRecordSource string
	//go:embed session.lua
	sessionSource string
	//go:embed issue.lua
	issueSource string
	//go:embed refresh.lua
	refreshSource string
	//go:embed revoke.lua
	revokeSource string

	issueScript   = sessionScript(issueSource)
	refreshScript = sessionScript(refreshSource)
	revokeScript  = sessionScript(revokeSource)
)

func sessionScript(source string) *redisdb.Script {
	return redisdb.NewScript(recordSource + oldRecordSource + sessionSource + source)
}

// transition is one change of one session: tokens are issued or revoked, or a refresh. What is zero changes nothing.
type transition struct {
	key      sessionKey
	request  string                   // the request ID, where a call has named it
	foreign  bool                     // a signature or the request ID is
	pointers map[string]time.Duration // :: Redis key → TTL, for foreign signatures and request IDs
	agent    string                   // the user agent, for lists

	step             step
	mark             string // hash of subject and client, if sessions of the two are limited
	doc              []byte
	id               string
	clientGeneration string // of a new session
	parent           string // of a new session: hash of the access token it was made from

	token   *tokenName // the refresh token that was presented: it must be the current one
	refresh string     // hash of a new refresh token
	access  string     // hash of a new access token
	sealed  []byte     // the answer to keep

	dropAccess  string // hash of a token to revoke
	dropRefresh *tokenName

	code     []string // codeKeys of the authorization code to redeem
	codeMark []byte   // of this redemption
}

// step is the JSON argument of the scripts. TTLs are in milliseconds, so that Redis's clock alone decides what has expired.
type step struct {
	Own    string `json:"own"`              // session ID, without those that it was made from
	List   bool   `json:"list,omitempty"`   // in the index of sessions
	Create bool   `json:"create,omitempty"` // the session may be new
	User   string `json:"user,omitempty"`   // revision that the user record must have
	Limit  int    `json:"limit,omitempty"`  // sessions of the subject at this client
	Suffix string `json:"suffix,omitempty"` // of their members in the index of the version before
	Max    int64  `json:"max,omitempty"`    // TTL of the whole session

	Presented  uint32 `json:"presented,omitempty"`    // number of the refresh token that was presented
	Retire     bool   `json:"retire,omitempty"`       // it becomes a used one
	EndListed  bool   `json:"end_listed,omitempty"`   // and access tokens that are listed end
	EndOnReuse bool   `json:"end_on_reuse,omitempty"` // the session ends when it is a used one already
	Grace      int64  `json:"grace,omitempty"`
	Doubt      int64  `json:"doubt,omitempty"`    // TTL of the answer, in place of the grace, until it is confirmed
	Withheld   int64  `json:"withheld,omitempty"` // an answer with a longer TTL is not given out yet

	Number        uint32 `json:"number,omitempty"` // of the new refresh token
	RefreshTTL    int64  `json:"refresh_ttl"`
	AccessTTL     int64  `json:"access_ttl"`
	SelfContained bool   `json:"self_contained,omitempty"` // the new access token needs no entry

	Memory int64 `json:"memory,omitempty"` // how long a code is remembered when it is not valid any more

	EndRefresh bool `json:"end_refresh,omitempty"` // revoke all tokens of this kind
	EndAccess  bool `json:"end_access,omitempty"`
}

// The results of the scripts, which say what each means.
const (
	resultOK     = "ok"
	resultReplay = "replay"
	resultBusy   = "busy"
	resultUsed   = "used"
	resultCode   = "code"
	resultNone   = "none"
	resultUser   = "user"
	resultBad    = "bad"
)

var errMixed = errors.New("storage: one transaction issues tokens or revokes some")

// call returns the script of the transition with its keys and arguments.
func (t *Tokens) call(s *transition) (redisdb.Call, error) {
	payload, err := json.Marshal(s.step)
	if err != nil {
		return redisdb.Call{}, fmt.Errorf("storage: encode transition: %w", err)
	}
	k, tag, name := t.db.Keys, s.key.tag(), s.key.name()
	c := redisdb.Call{
		Keys: []string{
			k.Session(tag, name), k.OldSession(tag, name), k.Sessions(tag), k.Evicted(tag), k.OldIndex(tag), k.OldEvicted(tag),
			k.User(tag), k.EndedBefore(tag),
		},
		Args: []any{payload, s.key.raw(), s.mark},
	}
	revokes, issues := s.revokes(), s.refresh != "" || s.access != "" || s.code != nil
	switch {
	case revokes && (issues || s.token != nil), s.token != nil && s.code != nil:
		return redisdb.Call{}, errMixed
	case revokes:
		c.Script = revokeScript
		var hash, old string
		if s.dropRefresh != nil {
			hash, old = s.dropRefresh.raw(), s.dropRefresh.short()
		}
		c.Args = append(c.Args, s.dropAccess, hash, old)
	case s.token != nil:
		c.Script = refreshScript
		c.Keys = append(c.Keys, k.Answer(tag, name, s.token.short()))
		c.Args = append(c.Args, s.doc, s.refresh, s.access, s.token.raw(), s.token.short(), s.sealed, s.id)
	default:
		c.Script = issueScript
		if s.code != nil {
			c.Keys = append(c.Keys, s.code[0])
		}
		c.Args = append(c.Args, s.doc, s.refresh, s.access, s.clientGeneration, s.parent, s.id, s.codeMark)
	}
	return c, nil
}

func (s *transition) revokes() bool {
	return s.dropAccess != "" || s.dropRefresh != nil || s.step.EndRefresh || s.step.EndAccess
}

// commit runs the transition. It returns the earlier answer if the presented token was used within its grace period.
func (t *Tokens) commit(ctx context.Context, s *transition) ([]byte, error) {
	const op = "transition"
	if s.code != nil && !s.step.Create { // no tokens are stored for it
		if s.revokes() || s.token != nil {
			return nil, errMixed
		}
		return nil, t.redeem(ctx, op, s.code, s.codeMark)
	}
	reply, err := t.send(ctx, op, s)
	if err != nil {
		return nil, err
	}
	result, detail, err := parseResult(reply)
	if err != nil {
		return nil, unavailable.Error(op, err)
	}
	switch result {
	case resultOK:
		t.forgetPointers(s, detail)
		return nil, nil
	case resultReplay:
		return []byte(detail), nil
	case resultBusy:
		if s.step.Withheld > 0 {
			return nil, unavailable.Error(op, errWithheld)
		}
		return nil, fosite.ErrSerializationFailure
	case resultCode:
		return nil, fosite.ErrInvalidatedAuthorizeCode
	case resultUsed:
		t.forgetPointers(s, detail)
		return nil, fosite.ErrInactiveToken
	case resultNone, resultUser:
		return nil, t.db.Missing(ctx, op)
	case resultBad:
		return nil, unavailable.Error(op, unavailable.ErrRecord)
	}
	return nil, unavailable.Error(op, fmt.Errorf("unknown result %q of a script", result))
}

// send runs the script of a transition, in one round trip with its pointers.
func (t *Tokens) send(ctx context.Context, op string, s *transition) (any, error) {
	c, err := t.call(s)
	if err != nil {
		return nil, err
	}
	t.rememberAgent(s.agent)
	pointers := t.pointerCalls(s)
	if len(pointers) == 0 {
		return t.db.Eval(ctx, op, c)
	}
	reply, err := t.db.EvalAfter(ctx, op, pointers, c)
	if err != nil && reply != nil {
		for _, pointer := range pointers {
			t.later.add(t.db, pointer)
		}
	}
	return reply, err
}

func parseResult(reply any) (result, detail string, err error) {
	parts, ok := reply.([]any)
	if !ok || len(parts) == 0 {
		return "", "", errors.New("unexpected reply of a script")
	}
	result, ok = parts[0].(string)
	if !ok {
		return "", "", errors.New("unexpected reply of a script")
	}
	if len(parts) > 1 {
		detail, _ = parts[1].(string)
	}
	return result, detail, nil
}
