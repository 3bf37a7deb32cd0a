package faults_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ory/fosite"
	fositestorage "github.com/ory/fosite/storage"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
)

// tokenStore is what the engine drives: the store, or a deliberately broken one.
type tokenStore interface {
	fositestorage.Transactional
	CreateAccessTokenSession(ctx context.Context, signature string, req fosite.Requester) error
	CreateRefreshTokenSession(ctx context.Context, signature, access string, req fosite.Requester) error
	GetAccessTokenSession(ctx context.Context, signature string, into fosite.Session) (fosite.Requester, error)
	GetRefreshTokenSession(ctx context.Context, signature string, into fosite.Session) (fosite.Requester, error)
	RefreshSession(ctx context.Context, presented, access, refresh string, answer []byte, req fosite.Requester) ([]byte, error)
	RotateRefreshToken(ctx context.Context, requestID, signature string) error
	RevokeSession(ctx context.Context, requestID string) error
	RevokeSubject(ctx context.Context, subject string) error
	CreateAuthorizeCodeSession(ctx context.Context, signature string, req fosite.Requester) error
	GetAuthorizeCodeSession(ctx context.Context, signature string, into fosite.Session) (fosite.Requester, error)
	InvalidateAuthorizeCodeSession(ctx context.Context, signature string) error
}

// engine uses sessions from many goroutines and records every call with its result. Each session has a separate history, because
// sessions must not affect each other.
type engine struct {
	stores []tokenStore // one for each server on the Redis
	client *storage.Client
	strict bool

	perSession int // operations in a session
	crowd      int // goroutines on one session
	parallel   int // sessions at once
	think      time.Duration
	sentAgain  func(hash string) bool // whether the client has sent the script of this new access token twice
	users      *storage.Users         // for the subjects of codes; nil: no session begins with a code

	begun    time.Time
	mu       sync.Mutex
	sessions []*session
	odd      []string // unexpected errors
	writes   []write  // in the order of their answers

	ops, unknowns, replays atomic.Int64
	slowest                atomic.Int64 // ns

	healed    atomic.Int64   // when the fault ended, or 0
	recovered []atomic.Int64 // :: store → when its first write after that returned
}

// write is a call that is not a look-up.
type write struct {
	store    int
	subject  string
	returned time.Duration
	answered bool // not with unavailable
}

func newEngine(strict bool, stores ...tokenStore) *engine {
	grace := storage.Duration(policy.MaxGrace)
	if strict {
		grace = 0
	}
	return &engine{
		stores: stores, strict: strict, perSession: 40, crowd: 4, parallel: 6, begun: time.Now(),
		client:    &storage.Client{ID: "engine", Public: true, Grants: []string{"password", "refresh_token"}, Grace: &grace},
		recovered: make([]atomic.Int64, len(stores)),
	}
}

// run starts sessions until enough returns true, and waits for them.
func (e *engine) run(enough func() bool) {
	var all sync.WaitGroup
	for range e.parallel {
		all.Go(func() {
			for !enough() {
				e.live(enough)
			}
		})
	}
	all.Wait()
}

func (e *engine) untilOps(n int) func() bool { return func() bool { return e.ops.Load() >= int64(n) } }

const subjects = 50 // user0, user1, …

// live runs one session from login to its last operation.
func (e *engine) live(enough func() bool) {
	subject := "user" + strconv.Itoa(rand.IntN(subjects))
	withCode := e.users != nil && rand.IntN(2) == 0
	if withCode {
		var err error
		if subject, err = e.subjectOfCode(); err != nil {
			return
		}
	}
	f := &session{id: storage.NewSessionID(subject), stock: rand.IntN(4) == 0}
	f.req = sessionRequest(f.id, subject, e.client, time.Hour, 24*time.Hour)
	f.req.Session.(*compact).selfContained = rand.IntN(2) == 0
	first := call{kind: opLogin, next: f.fresh(), access: f.fresh()}
	if withCode {
		f.code = codeSignature(f.id)
		first = call{kind: opStoreCode}
	}
	var r result
	for range 10 {
		if r = e.do(f, first); r.outcome == accepted {
			break
		}
		if enough() {
			break
		}
	}
	e.mu.Lock()
	e.sessions = append(e.sessions, f)
	e.mu.Unlock()
	if r.outcome != accepted {
		return
	}
	f.learn(first.next, first.access)
	var all sync.WaitGroup
	for range e.crowd {
		all.Go(func() {
			for range e.perSession / e.crowd {
				// Each operation of unknown outcome doubles the work of the checker.
				if f.inDoubt() > 5 || enough() {
					return
				}
				if e.think > 0 {
					time.Sleep(rand.N(e.think))
				}
				e.any(f)
			}
		})
	}
	all.Wait()
}

// any does one operation. Three in ten present a refresh token that is not the newest.
func (e *engine) any(f *session) {
	if f.code != "" && e.anyOfCode(f) {
		return
	}
	newest, old, access := f.pick()
	switch dice := rand.IntN(100); {
	case dice < 30:
		e.replays.Add(1)
		e.rotate(f, old)
	case dice < 58:
		e.rotate(f, newest)
	case dice < 65:
		c := call{kind: opStatic, token: newest, access: f.fresh()}
		if e.do(f, c).outcome == accepted {
			f.learn(0, c.access)
		}
	case dice < 80:
		e.do(f, call{kind: opReadRefresh, token: []int{newest, old}[rand.IntN(2)]})
	case dice < 98:
		e.do(f, call{kind: opReadAccess, access: access})
	default:
		e.do(f, call{kind: opRevoke})
	}
}

// rotate refreshes. After an unknown outcome it may send the same step again, as go-redis and callers do.
func (e *engine) rotate(f *session, token int) {
	c := call{kind: opRotate, token: token, next: f.fresh(), access: f.fresh()}
	r := e.do(f, c)
	if r.outcome == unknown && rand.IntN(2) == 0 {
		r = e.do(f, c)
	}
	switch r.outcome {
	case accepted:
		f.learn(c.next, c.access)
	case replayed:
		f.learn(r.next, 0)
	}
}
