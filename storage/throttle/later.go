package throttle

import (
	"context"
	"sync"
	"time"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

const (
	maxLater   = 4096
	laterBatch = 64
)

// later sends results again that may not have reached Redis. Without it, logins that met an outage would count as failures of their
// users, although nobody knows that they failed.
type later struct {
	send  func(context.Context, []redisdb.Call) error
	mutex sync.Mutex
	list  []delayed
	runs  bool
}

type delayed struct {
	call  redisdb.Call
	until time.Time
}

// add takes calls that are worth nothing after flightTime: then the attempts are failures. What is too much is dropped.
func (l *later) add(calls ...redisdb.Call) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, call := range calls {
		if len(l.list) < maxLater {
			l.list = append(l.list, delayed{call, time.Now().Add(flightTime)})
		}
	}
	if !l.runs && len(l.list) > 0 {
		l.runs = true
		go l.run()
	}
}

// run ends when there is nothing left to send.
func (l *later) run() {
	defer func() {
		// A panic, of a hook of the Redis client for example, must not end the process. What is left is sent with the next call.
		if recover() != nil {
			l.mutex.Lock()
			defer l.mutex.Unlock()
			l.runs = false
		}
	}()
	for {
		time.Sleep(time.Second)
		batch := l.take()
		if len(batch) == 0 {
			return
		}
		calls := make([]redisdb.Call, len(batch))
		for i, d := range batch {
			calls[i] = d.call
		}
		if l.send(context.Background(), calls) != nil {
			l.putBack(batch)
		}
	}
}

func (l *later) take() []delayed {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	n := min(len(l.list), laterBatch)
	batch := append([]delayed(nil), l.list[:n]...)
	l.list = l.list[n:]
	if n == 0 {
		l.list, l.runs = nil, false
	}
	return batch
}

func (l *later) putBack(batch []delayed) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	now := time.Now()
	for _, d := range batch {
		if now.Before(d.until) && len(l.list) < maxLater {
			l.list = append(l.list, d)
		}
	}
}
