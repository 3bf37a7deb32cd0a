package storage

import (
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// Foreign signatures and request IDs do not tell where their session is. A pointer does, for one more round trip of whoever asks.

// addPointers adds to the transition the pointers that a foreign signature and a foreign request ID need.
func (t *Tokens) addPointers(s *transition, signature string, req fosite.Requester, ttl int64) {
	add := func(pointer string) {
		if s.pointers == nil {
			s.pointers = make(map[string]time.Duration, 3)
		}
		s.pointers[pointer] = max(s.pointers[pointer], time.Duration(ttl)*time.Millisecond)
	}
	if _, _, native := parseSignature(signature); !native {
		add(t.db.Keys.SignaturePointer(nameOf(signature).raw()))
	}
	if _, native := parseSessionID(req.GetID()); !native {
		add(t.db.Keys.RequestPointer(req.GetID()))
	}
}

// pointerScript writes a pointer. It never shortens the TTL of one that is there.
//
//	KEYS  1 pointer
//	ARGV  1 session key   2 TTL in ms
//	reply {'ok'}
//	twice writes the same
var pointerScript = redisdb.NewScript(`
local ttl = math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[2]))
redis.call('SET', KEYS[1], ARGV[1], 'PX', ttl)
return {'ok'}`)

// pointerCalls write the pointers of a transition. A pointer without a session expires and does no harm, but a session without
// its pointers could not be found: then the store was unavailable, although the script has run where the node of a pointer alone is
// away (Redis Cluster). The pointers are then written in the background, for some seconds, because the answer to a refresh is given
// again to whoever retries. A code has been used by then: a retry is refused, and the user must log in again.
func (t *Tokens) pointerCalls(s *transition) []redisdb.Call {
	calls := make([]redisdb.Call, 0, len(s.pointers))
	for pointer, ttl := range s.pointers {
		calls = append(calls, redisdb.Call{
			Script: pointerScript, Keys: []string{pointer}, Args: []any{string(s.key), max(ttl.Milliseconds(), 1)},
		})
	}
	return calls
}

// forgetPointers removes, in the background, the pointers to tokens that a session has forgotten. hashes are those tokens, one
// after the other. A pointer that cannot be removed expires.
func (t *Tokens) forgetPointers(s *transition, hashes string) {
	if !s.foreign {
		return
	}
	for ; len(hashes) >= hashLength; hashes = hashes[hashLength:] {
		t.later.add(t.db, redisdb.Command("DEL", t.db.Keys.SignaturePointer(hashes[:hashLength])))
	}
}
