package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
)

// do makes the call on any of the stores and records it.
func (e *engine) do(f *session, c call) result {
	c.strict, c.stock, c.listed = e.strict, f.stock, !f.req.Session.(*compact).selfContained
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
	if c.kind != opReadAccess && c.kind != opReadRefresh {
		e.mu.Lock()
		e.writes = append(e.writes, write{which, f.req.Session.GetSubject(), time.Duration(returned), r.outcome != unknown})
		e.mu.Unlock()
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
			return r // a failed read changes nothing
		}
		op.Return = math.MaxInt64
	} else {
		if healed := e.healed.Load(); healed > 0 && called >= healed && c.kind != opReadAccess && c.kind != opReadRefresh {
			e.recovered[which].CompareAndSwap(0, returned)
		}
	}
	f.record(op)
	if (c.kind == opRotate || c.kind == opStatic) && r.outcome != accepted && r.outcome != unknown && e.wasSentAgain(f, c, time.Duration(returned-called)) {
		// An attempt whose reply was lost may have been executed before the one that was answered.
		op.Output, op.Return = result{}, math.MaxInt64
		f.record(op)
	}
	return r
}

// wasSentAgain reports whether the client may have sent a step again. Where this is not counted, it may have if the call took at
// least the pause that storage.Connect makes before a retry.
func (e *engine) wasSentAgain(f *session, c call, took time.Duration) bool {
	if e.sentAgain == nil {
		return took >= 5*time.Millisecond
	}
	hash := strings.TrimPrefix(storage.Signature(f.id, strconv.Itoa(c.access)), f.id+".")
	return e.sentAgain(hash[:22])
}

func (e *engine) send(s tokenStore, f *session, c call) (result, error) {
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
	case opStatic: // fosite cannot do this
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
		return result{outcome: inactive}, err
	case errors.Is(err, fosite.ErrNotFound):
		return result{outcome: notFound}, err
	case errors.Is(err, fosite.ErrSerializationFailure):
		return result{outcome: raceLost}, err
	}
	return result{outcome: unknown}, err
}
