package throttle

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

const (
	maxWait    = 10 * time.Second // of a login for the results of others
	maxWaiting = 4096             // logins
	firstPoll  = 20 * time.Millisecond
	lastPoll   = 500 * time.Millisecond
)

var (
	errWaited  = errors.New("other logins of this user or network are in progress for too long")
	errWaiting = errors.New("too many logins wait for others")
)

// queue holds the logins that wait for room in a bucket, in lines: first come, first served. Only the first of a line asks Redis
// again: when an attempt of this process was settled, and from time to time for those of other processes.
type queue struct {
	mutex   sync.Mutex
	lines   map[string][]*waiter
	waiting int
	waited  atomic.Int64
}

// waiter is one login in a line. Its fields but the channels belong to the mutex of the queue.
type waiter struct {
	line  string
	until time.Time
	poll  time.Duration
	told  error         // why it waits no longer; read after done
	done  chan struct{} // closed by tell
	wake  chan struct{} // room for one: there may be room in the bucket
}

func (q *queue) init() { q.lines = make(map[string][]*waiter) }

// Waiting is how many logins wait at the moment.
func (q *queue) Waiting() int {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return q.waiting
}

// behind joins a line that exists already: whoever comes later is not served first. Otherwise it returns nil.
func (q *queue) behind(line string) *waiter {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if len(q.lines[line]) == 0 || q.waiting >= maxWaiting {
		return nil
	}
	return q.join(nil, line)
}

// move joins the line of the bucket that has no room, unless the waiter is in it, or was told meanwhile what its old line was told.
func (q *queue) move(w *waiter, line string) (*waiter, error) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if w != nil && (w.line == line || w.told != nil) {
		return w, nil
	}
	if w == nil && q.waiting >= maxWaiting {
		return nil, unavailable.Error(opReserve, errWaiting)
	}
	return q.join(w, line), nil
}

// join adds a waiter to the end of a line. The mutex is held.
func (q *queue) join(w *waiter, line string) *waiter {
	if w == nil {
		w = &waiter{until: time.Now().Add(maxWait), done: make(chan struct{}), wake: make(chan struct{}, 1)}
		q.waiting++
		q.waited.Add(1)
	} else {
		q.remove(w)
	}
	w.line, w.poll = line, firstPoll
	q.lines[line] = append(q.lines[line], w)
	return w
}

// turn blocks until the login may ask Redis: at once when it is nil. It returns an error when the login is refused, or has waited
// for too long.
func (q *queue) turn(ctx context.Context, w *waiter) error {
	if w == nil {
		return nil
	}
	deadline := time.NewTimer(time.Until(w.until))
	defer deadline.Stop()
	for {
		first, poll := q.place(w)
		var again <-chan time.Time
		if first {
			timer := time.NewTimer(poll)
			defer timer.Stop()
			again = timer.C
		}
		select {
		case <-w.done:
			return w.told
		case <-again:
			return nil
		case <-w.wake:
			if first, _ := q.place(w); first {
				return nil
			}
		case <-deadline.C:
			return unavailable.Error(opReserve, errWaited)
		case <-ctx.Done():
			return unavailable.Error(opReserve, ctx.Err())
		}
	}
}

// place tells whether the waiter is the first of its line, and then when to ask without being woken.
func (q *queue) place(w *waiter) (first bool, poll time.Duration) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	line := q.lines[w.line]
	if len(line) == 0 || line[0] != w {
		return false, 0
	}
	poll = w.poll/2 + rand.N(w.poll) // #nosec G404 -- spreads the replicas, no secret
	w.poll = min(2*w.poll, lastPoll)
	return true, poll
}

// wake lets the first of each line ask at once.
func (q *queue) wake(lines ...string) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	for _, line := range lines {
		q.wakeFirst(line)
	}
}

func (q *queue) wakeFirst(line string) {
	if list := q.lines[line]; len(list) > 0 {
		select {
		case list[0].wake <- struct{}{}:
		default:
		}
	}
}

// tell ends the wait of a whole line.
func (q *queue) tell(line string, err error) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	for _, w := range q.lines[line] {
		w.told = err
		close(w.done)
		q.waiting--
	}
	delete(q.lines, line)
}

// leave takes a waiter out of its line, if it is in one. The next one asks at once: where one had room there may be more.
func (q *queue) leave(w *waiter) {
	if w == nil {
		return
	}
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if q.remove(w) {
		q.waiting--
	}
}

func (q *queue) remove(w *waiter) bool {
	list := q.lines[w.line]
	i := slices.Index(list, w)
	if i < 0 {
		return false
	}
	if list = slices.Delete(list, i, i+1); len(list) == 0 {
		delete(q.lines, w.line)
		return true
	}
	q.lines[w.line] = list
	if i == 0 {
		q.wakeFirst(w.line)
	}
	return true
}
