package storage

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// A rotation is in doubt until the process that made it has the reply of Redis: it may have happened, and the client may have
// been told to retry. Its answer is therefore stored for longer than the grace, so that whichever server the retry reaches gives
// the same tokens. When the reply is there, the answer is confirmed: its TTL becomes the grace. Nothing needs to be done when a
// process ends in between, or Redis is away: the answer stays in doubt.
//
// Most confirmations are not worth a round trip of the request's own. They gather for some milliseconds and go out together.

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
	s.Doubt = doubtTTL.Milliseconds()
	if s.Grace == 0 {
		s.Withheld = (doubtTTL - t.timeout).Milliseconds()
	}
}

// confirm ends the doubt about the rotation whose reply has arrived, or whose answer is about to be given again. Without a
// grace it does so at once, so that the used token is dead before the client has its successor.
func (t *Tokens) confirm(ctx context.Context, s *transition) {
	if s.Doubt == 0 {
		return
	}
	call := redisdb.Call{
		Script: confirmScript, Keys: []string{t.db.Keys.Answer(s.key.tag(), s.key.name(), s.used)}, Args: []any{s.Grace},
	}
	if s.Grace == 0 {
		if _, err := t.db.Eval(ctx, "confirm refresh", call); err == nil {
			return
		}
		// The rotation has happened, and the client must get the tokens. Until this is confirmed, the used token gets them too.
	}
	t.confirmations.add(t.db, call)
}

// confirmScript shortens the TTL of an answer.
//
//	KEYS  1 answer
//	ARGV  1 TTL in ms; 0 removes it
//	reply 1
var confirmScript = redisdb.NewScript(`
if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1`)

// confirmations are sent in the background, by a goroutine that ends when there are none left. The zero value is ready for use.
type confirmations struct {
	mutex   sync.Mutex
	waiting []redisdb.Call
	running bool
}

const (
	confirmEvery = 20 * time.Millisecond
	confirmChunk = 200
	// maxConfirmations bounds the memory during an outage. What does not fit stays in doubt.
	maxConfirmations = 10_000
	// confirmAttempts is how often a chunk is sent while Redis is unavailable, within some five seconds.
	confirmAttempts = 8
)

func (c *confirmations) add(db *redisdb.DB, call redisdb.Call) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(c.waiting) >= maxConfirmations {
		return
	}
	c.waiting = append(c.waiting, call)
	if !c.running {
		c.running = true
		go c.run(db)
	}
}

func (c *confirmations) run(db *redisdb.DB) {
	pause, failed := confirmEvery, 0
	for {
		time.Sleep(pause)
		chunk := c.take()
		if len(chunk) == 0 {
			return
		}
		if _, err := db.EvalAll(context.Background(), "confirm refresh", chunk, nil); err == nil {
			pause, failed = confirmEvery, 0
			continue
		}
		if pause, failed = 2*pause, failed+1; failed < confirmAttempts {
			c.putBack(chunk)
		} else {
			pause, failed = confirmEvery, 0
		}
	}
}

// take returns the oldest confirmations. When there are none, the goroutine must end.
func (c *confirmations) take() []redisdb.Call {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	n := min(len(c.waiting), confirmChunk)
	chunk := c.waiting[:n:n]
	c.waiting = c.waiting[n:]
	if n == 0 {
		c.waiting, c.running = nil, false
	}
	return chunk
}

func (c *confirmations) putBack(chunk []redisdb.Call) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.waiting = append(chunk, c.waiting...)
}
