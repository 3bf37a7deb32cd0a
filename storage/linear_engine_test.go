package storage_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/ory/fosite"
	fositestorage "github.com/ory/fosite/storage"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
)

// sessions is what the engine drives: the store, or a deliberately broken one.
type sessions interface {
	fositestorage.Transactional
	CreateAccessTokenSession(ctx context.Context, signature string, req fosite.Requester) error
	CreateRefreshTokenSession(ctx context.Context, signature, access string, req fosite.Requester) error
	GetAccessTokenSession(ctx context.Context, signature string, into fosite.Session) (fosite.Requester, error)
	GetRefreshTokenSession(ctx context.Context, signature string, into fosite.Session) (fosite.Requester, error)
	RefreshSession(ctx context.Context, presented, access, refresh string, answer []byte, req fosite.Requester) ([]byte, error)
	RotateRefreshToken(ctx context.Context, requestID, signature string) error
	RevokeSession(ctx context.Context, requestID string) error
}

// engine drives sessions from many goroutines and writes down every call with its answer. Each family, one login with all
// that follows, has a history of its own, because nothing that happens to one session may touch another.
type engine struct {
	stores []sessions // as many servers on one Redis
	client *storage.Client
	strict bool

	perFamily int // operations in a family
	crowd     int // goroutines on one family
	abreast   int // families at once
	think     time.Duration
	sentAgain func(hash string) bool // did the client send the script of this new access token twice?

	begun    time.Time
	mu       sync.Mutex
	families []*family
	odd      []string // answers of no known kind

	ops, unknowns, replays atomic.Int64
	slowest                atomic.Int64 // ns

	healed    atomic.Int64   // when the fault ended, or 0
	recovered []atomic.Int64 // :: store → its first answered write that was called after that
}

func newEngine(strict bool, stores ...sessions) *engine {
	grace := storage.Duration(policy.MaxGrace)
	if strict {
		grace = 0
	}
	return &engine{
		stores: stores, strict: strict, perFamily: 40, crowd: 4, abreast: 6, begun: time.Now(),
		client:    &storage.Client{ID: "engine", Public: true, Grants: []string{"password", "refresh_token"}, Grace: &grace},
		recovered: make([]atomic.Int64, len(stores)),
	}
}

// run starts families until enough says so, and waits for them.
func (e *engine) run(enough func() bool) {
	var all sync.WaitGroup
	for range e.abreast {
		all.Go(func() {
			for !enough() {
				e.live(enough)
			}
		})
	}
	all.Wait()
}

func (e *engine) untilOps(n int) func() bool { return func() bool { return e.ops.Load() >= int64(n) } }

// live is one family from login to its last operation.
func (e *engine) live(enough func() bool) {
	subject := "user" + strconv.Itoa(rand.IntN(50))
	f := &family{id: storage.NewSessionID(subject), stock: rand.IntN(4) == 0}
	f.req = sessionRequest(f.id, subject, e.client, time.Hour, 24*time.Hour)
	f.req.Session.(*compact).provable = rand.IntN(2) == 0
	next, access := f.fresh(), f.fresh()
	var r result
	for range 10 {
		if r = e.do(f, call{kind: opLogin, next: next, access: access}); r.outcome == accepted {
			break
		}
		if enough() {
			break
		}
	}
	e.mu.Lock()
	e.families = append(e.families, f)
	e.mu.Unlock()
	if r.outcome != accepted {
		return
	}
	f.learn(next, access)
	var all sync.WaitGroup
	for range e.crowd {
		all.Go(func() {
			for range e.perFamily / e.crowd {
				// Each operation of unknown outcome doubles what the checker must consider.
				if f.doubts() > 5 || enough() {
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

// any does one operation; three in ten show a refresh token that is not the newest.
func (e *engine) any(f *family) {
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

// rotate refreshes, and after a don't-know sends the very same step again, as go-redis or a careful caller does.
func (e *engine) rotate(f *family, token int) {
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

// do makes the call on any of the stores and records it.
func (e *engine) do(f *family, c call) result {
	c.strict, c.stock = e.strict, f.stock
	which := rand.IntN(len(e.stores))
	called := time.Since(e.begun).Nanoseconds()
	r, err := e.send(e.stores[which], f, c)
	returned := time.Since(e.begun).Nanoseconds()
	e.ops.Add(1)
	for took, was := returned-called, int64(0); ; {
		if was = e.slowest.Load(); took <= was || e.slowest.CompareAndSwap(was, took) {
			break
		}
	}
	op := porcupine.Operation{Input: c, Output: r, Call: called, Return: returned}
	if r.outcome == unknown {
		if !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			e.mu.Lock()
			e.odd = append(e.odd, fmt.Sprintf("%s: %v", describe(c, r), err))
			e.mu.Unlock()
		}
		e.unknowns.Add(1)
		defer time.Sleep(rand.N(40 * time.Millisecond))
		if c.kind == opReadRefresh || c.kind == opReadAccess {
			return r // a read that was not answered tells nothing and changes nothing
		}
		op.Return = math.MaxInt64
	} else {
		if healed := e.healed.Load(); healed > 0 && called >= healed && c.kind != opReadAccess && c.kind != opReadRefresh {
			e.recovered[which].CompareAndSwap(0, returned)
		}
	}
	f.record(op)
	if (c.kind == opRotate || c.kind == opStatic) && r.outcome != accepted && r.outcome != unknown && e.wasSentAgain(f, c, time.Duration(returned-called)) {
		// An attempt whose reply was lost may have been done before the one that was answered.
		op.Output, op.Return = result{}, math.MaxInt64
		f.record(op)
	}
	return r
}

// wasSentAgain tells whether the client has sent a step again by itself. Where nobody counts, it may have if the answer took
// at least the pause that storage.Connect makes before it does.
func (e *engine) wasSentAgain(f *family, c call, took time.Duration) bool {
	if e.sentAgain == nil {
		return took >= 5*time.Millisecond
	}
	hash := strings.TrimPrefix(storage.Signature(f.id, strconv.Itoa(c.access)), f.id+".")
	return e.sentAgain(hash[:22])
}

func (e *engine) send(s sessions, f *family, c call) (result, error) {
	ctx, sig := context.Background(), func(n int) string { return storage.Signature(f.id, strconv.Itoa(n)) }
	var err error
	var answer []byte
	switch c.kind {
	case opLogin:
		err = login(ctx, s, sig(c.access), sig(c.next), f.req)
	case opRotate:
		if f.stock {
			err = rotateAsFosite(ctx, s, sig(c.token), sig(c.access), sig(c.next), f.req)
			break
		}
		answer, err = s.RefreshSession(ctx, sig(c.token), sig(c.access), sig(c.next), []byte(strconv.Itoa(c.next)), f.req)
	case opStatic: // fosite has no such thing
		answer, err = s.RefreshSession(ctx, sig(c.token), sig(c.access), "", nil, f.req)
	case opReadRefresh:
		_, err = s.GetRefreshTokenSession(ctx, sig(c.token), &compact{})
	case opReadAccess:
		_, err = s.GetAccessTokenSession(ctx, sig(c.access), &compact{})
	case opRevoke:
		err = s.RevokeSession(ctx, f.id)
	}
	switch {
	case err == nil && answer != nil:
		next, _ := strconv.Atoi(string(answer))
		return result{replayed, next}, nil
	case err == nil:
		return result{outcome: accepted}, nil
	case errors.Is(err, fosite.ErrTemporarilyUnavailable):
		return result{outcome: unknown}, err
	case errors.Is(err, fosite.ErrInactiveToken):
		return result{outcome: used}, err
	case errors.Is(err, fosite.ErrNotFound):
		return result{outcome: refused}, err
	case errors.Is(err, fosite.ErrSerializationFailure):
		return result{outcome: racing}, err
	}
	return result{outcome: unknown}, err
}

func login(ctx context.Context, s sessions, access, refresh string, req fosite.Requester) error {
	ctx, err := s.BeginTX(ctx)
	if err != nil {
		return err
	}
	if err := s.CreateAccessTokenSession(ctx, access, req); err != nil {
		return err
	}
	if err := s.CreateRefreshTokenSession(ctx, refresh, access, req); err != nil {
		return err
	}
	return s.Commit(ctx)
}

// rotateAsFosite does what fosite's refresh handler does.
func rotateAsFosite(ctx context.Context, s sessions, presented, access, refresh string, req fosite.Requester) error {
	ctx, err := s.BeginTX(ctx)
	if err != nil {
		return err
	}
	if err := s.RotateRefreshToken(ctx, req.GetID(), presented); err != nil {
		return errors.Join(err, s.Rollback(ctx))
	}
	if err := s.CreateAccessTokenSession(ctx, access, req); err != nil {
		return err
	}
	if err := s.CreateRefreshTokenSession(ctx, refresh, access, req); err != nil {
		return err
	}
	return s.Commit(ctx)
}

func sessionRequest(id, subject string, client fosite.Client, access, refresh time.Duration) *fosite.Request {
	r := fosite.NewRequest()
	r.ID, r.Client, r.GrantedScope = id, client, fosite.Arguments{"read"}
	now := time.Now()
	s := &compact{Subject: subject, Access: now.Add(access).Unix(), Refresh: now.Add(refresh).Unix(), LoggedIn: now.Unix()}
	r.Session = s
	return r
}
