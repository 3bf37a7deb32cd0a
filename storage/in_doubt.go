package storage

import (
	"context"
	"errors"
	"time"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// A rotation is in doubt until the process that made it has the reply of Redis: it may have happened, and the client may have
// been told to retry. Its answer is therefore stored for longer than the grace, so that whichever server the retry reaches gives
// the same tokens. When the reply is there, the answer is confirmed: its TTL becomes the grace. Nothing needs to be done when a
// process ends in between, or Redis is away: the answer stays in doubt.
//
// Most confirmations are not worth a round trip of the request's own: they are sent later.

// doubtTTL covers an outage with a restart of Redis. Later a retry is reuse.
const doubtTTL = 15 * time.Minute

// errWithheld is the cause when a token of a client without a grace is presented while the request that rotates it may still
// be running, or its reply was lost just now.
var errWithheld = errors.New("another request with this refresh token is not decided yet")

// doubt makes a rotation keep its answer until it is confirmed. Without a grace the answer is not given out while the first
// attempt may still be running: then of many requests with one token exactly one succeeds.
func (t *Tokens) doubt(s *transition) {
	if len(s.sealed) == 0 {
		return
	}
	s.step.Doubt = doubtTTL.Milliseconds()
	if s.step.Grace == 0 {
		s.step.Withheld = (doubtTTL - t.timeout).Milliseconds()
	}
}

// confirm ends the doubt about the rotation whose reply has arrived, or whose answer is about to be given again. Without a
// grace it does so at once, so that the used token is dead before the client has its successor.
func (t *Tokens) confirm(ctx context.Context, s *transition) {
	if s.step.Doubt == 0 {
		return
	}
	call := redisdb.Call{
		Script: confirmScript,
		Keys:   []string{t.db.Keys.Answer(s.key.tag(), s.key.name(), s.token.short())},
		Args:   []any{s.step.Grace},
	}
	if s.step.Grace == 0 {
		if _, err := t.db.Eval(ctx, "confirm refresh", call); err == nil {
			return
		}
		// The rotation has happened, and the client must get the tokens. Until this is confirmed, the used token gets them too.
	}
	t.later.add(t.db, call)
}

// confirmScript shortens the TTL of an answer.
//
//	KEYS  1 answer
//	ARGV  1 TTL in ms; 0 removes it
//	reply 1
//	twice finds a TTL that is no longer
var confirmScript = redisdb.NewScript(`
if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1`)
