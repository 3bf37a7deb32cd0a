package redisdb

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	suspectAfter = 20                     // failures in a row, before Redis is asked whether it is there
	probeEvery   = 500 * time.Millisecond // while it is not
)

// errOpen is the cause while the breaker is open.
var errOpen = errors.New("redis did not answer a moment ago, and is not asked by every request")

// breaker sheds load while Redis is out of reach. Operations also fail because this process has too much to do: they wait for a
// connection, or run out of time, while Redis would answer. So failures open the breaker only if a PING fails as well, which
// goes over a connection of its own and has time of its own. While it is open, operations fail at once, and now and then one of
// them asks again before it goes on.
type breaker struct {
	probe func() error

	mu       sync.Mutex
	failures int // in a row
	open     bool
	probing  bool
	probed   time.Time // the end of the last probe
}

func newBreaker(probe func() error) *breaker { return &breaker{probe: probe} }

// run calls f unless Redis is known not to answer.
func (b *breaker) run(f func() error) error {
	if !b.allow() {
		return errOpen
	}
	err := f()
	b.count(err)
	return err
}

// isOpen tells whether operations fail at once.
func (b *breaker) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

func (b *breaker) allow() bool {
	b.mu.Lock()
	if !b.open {
		b.mu.Unlock()
		return true
	}
	if b.probing || time.Since(b.probed) < probeEvery {
		b.mu.Unlock()
		return false
	}
	b.probing = true
	b.mu.Unlock()
	return b.ask(1)
}

func (b *breaker) count(err error) {
	failed := unreachable(err)
	if !failed && errors.Is(err, context.Canceled) {
		return // which tells nothing
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !failed {
		b.failures = 0
		return
	}
	b.failures++
	if b.failures < suspectAfter || b.open || b.probing {
		return
	}
	b.probing = true
	go b.ask(3) // the caller has waited long enough
}

// ask probes Redis, opens or closes the breaker, and tells whether Redis is there. If a probe fails late, this process is short of
// time, and may have missed the answer. Then it asks again, up to the given number of times, and leaves the breaker as it is if
// that does not help. b.probing is set.
func (b *breaker) ask(times int) bool {
	alive, late := false, true
	for ; late && times > 0; times-- {
		alive, late = b.alive()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !late {
		b.open = !alive
	}
	b.failures, b.probing, b.probed = 0, false, time.Now()
	return !b.open
}

// alive takes a panic, of a dialer for example, for no answer: in a goroutine nothing else recovers it.
func (b *breaker) alive() (alive, late bool) {
	begun := time.Now()
	defer func() {
		if recover() != nil {
			alive, late = false, false
		}
	}()
	alive = b.probe() == nil
	return alive, !alive && time.Since(begun) > probeTimeout*13/10
}

// unreachable tells whether Redis could not be asked. An error that Redis itself answered is not one.
func unreachable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) ||
		errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrClosed)
}
