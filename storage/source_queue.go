package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/opgrant/opgrant/storage/internal/fingerprint"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

const (
	// maxQuestions bounds the questions to the source at a time: as many as package compat forwards at a time by default. With 64,
	// 200 users who arrive at once get in although each answer takes two seconds.
	maxQuestions = 64
	// maxLogins bounds the memory: those that wait, those that are asked about, and those whose users are being stored.
	maxLogins = 1000
	// queueTime is how long a login waits for its turn, and loginTime how long for everything, the hash of a new user among many
	// others included. It is less than the 30 s in which a server by default completes its answer.
	queueTime, loginTime = 10 * time.Second, 28 * time.Second
)

var (
	errSourceFull = errors.New("too many logins of users who are not in the store")
	errSourceBusy = errors.New("no turn at the source in time")
	errSourceSlow = errors.New("no answer of the source and no import in time")
)

// sourceQueue asks the source, for logins in the order in which they came, but never twice about one name at a time. Equal
// logins are one. It is safe for concurrent use.
type sourceQueue struct {
	ask importFunc
	key *fingerprint.Key // of name and password

	mutex     sync.Mutex
	logins    map[fingerprint.Fingerprint]*sourceLogin // those that wait and those that are under way
	waiting   []*sourceLogin
	questions int             // without an answer
	underWay  map[string]bool // names, until their users are stored
}

// importFunc verifies a password at the source and stores the user. It calls answered, before the costly part of storing, when the
// source has answered.
type importFunc func(ctx context.Context, name, password string, answered func()) sourceResult

// sourceLogin is what a question is asked for: one or more equal logins.
type sourceLogin struct {
	id             fingerprint.Fingerprint
	ctx            context.Context //nolint:containedctx // of the first login, without its end: the others share the import
	name, password string
	callers        int           // that wait for its turn
	started        chan struct{} // closed when it is under way
	done           chan struct{} // closed when result is set
	result         sourceResult
}

func newSourceQueue(ask importFunc) *sourceQueue {
	return &sourceQueue{key: fingerprint.NewKey(), ask: ask, logins: map[fingerprint.Fingerprint]*sourceLogin{}, underWay: map[string]bool{}}
}

// do returns the result for one login. A login that has no turn in time, or whose caller goes before that, is unavailable. Once the
// source is asked, do waits for the result whether or not its caller has gone: it was a guess, which is counted by its result.
func (q *sourceQueue) do(ctx context.Context, name, password string) sourceResult {
	l := q.join(ctx, name, password)
	if l == nil {
		return sourceResult{err: unavailable.Error(opSource, errSourceFull)}
	}
	turn, end := time.NewTimer(queueTime), time.NewTimer(loginTime)
	defer turn.Stop()
	defer end.Stop()
	var noTurn error
	select {
	case <-l.started:
	case <-turn.C:
		noTurn = errSourceBusy
	case <-ctx.Done():
		noTurn = ctx.Err()
	}
	if noTurn != nil && q.giveUp(l) {
		return sourceResult{err: unavailable.Error(opSource, noTurn)}
	}
	select {
	case <-l.done:
		return l.result
	case <-end.C:
		return sourceResult{err: unavailable.Error(opSource, errSourceSlow)}
	}
}

// join returns the login that equals this one, or else a new one, or nil where there are too many.
func (q *sourceQueue) join(ctx context.Context, name, password string) *sourceLogin {
	id := q.key.Of(name, password)
	q.mutex.Lock()
	defer q.mutex.Unlock()
	l := q.logins[id]
	if l == nil {
		if len(q.logins) >= maxLogins {
			return nil
		}
		ctx = context.WithValue(context.WithoutCancel(ctx), batchKey{}, (*batch)(nil)) // a unit of work belongs to one request
		l = &sourceLogin{
			id: id, ctx: ctx, name: name, password: password, started: make(chan struct{}), done: make(chan struct{}),
			result: sourceResult{err: unavailable.Error(opSource, errSourceEnded)},
		}
		q.logins[id] = l
		q.waiting = append(q.waiting, l)
		q.next()
	}
	l.callers++
	return l
}

// giveUp takes one caller away from a question, unless it has been asked. It is not needed any more when the last one goes.
func (q *sourceQueue) giveUp(l *sourceLogin) bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	i := slices.Index(q.waiting, l)
	if i < 0 {
		return false
	}
	if l.callers--; l.callers == 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
		delete(q.logins, l.id)
	}
	return true
}

// next asks about the first logins that may be asked about. The caller has the mutex.
func (q *sourceQueue) next() {
	for i := 0; i < len(q.waiting) && q.questions < maxQuestions; {
		l := q.waiting[i]
		if q.underWay[l.name] {
			i++
			continue
		}
		q.waiting = slices.Delete(q.waiting, i, i+1)
		q.underWay[l.name] = true
		q.questions++
		close(l.started)
		go q.run(l)
	}
}

// answered makes room for the next question.
func (q *sourceQueue) answered() {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.questions--
	q.next()
}

// run asks about one login. Nothing else recovers in its goroutine, and the source is third-party code.
func (q *sourceQueue) run(l *sourceLogin) {
	answered := sync.OnceFunc(q.answered)
	defer func() {
		if cause := recover(); cause != nil {
			// The type alone: the value could hold the password.
			l.result = sourceResult{err: unavailable.Error(opSource, fmt.Errorf("panic: %T", cause))}
		}
		answered()
		q.mutex.Lock()
		delete(q.underWay, l.name)
		delete(q.logins, l.id)
		q.next()
		q.mutex.Unlock()
		close(l.done)
	}()
	l.result = q.ask(l.ctx, l.name, l.password, answered)
}
