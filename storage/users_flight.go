package storage

import (
	"context"
	"errors"
	"sync"

	"github.com/opgrant/opgrant/storage/internal/fingerprint"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
	"github.com/opgrant/opgrant/storage/throttle"
)

// maxSharing bounds the logins that wait for the hash of another one.
const maxSharing = 4096

var (
	errShared   = errors.New("too many logins wait for the same result")
	errPanicked = errors.New("the login that others waited for panicked")
)

// flights are the logins in progress. Identical ones share a flight, which has one reservation and one hash: a worker that starts
// forty requests at once has not failed forty times, and forty times the same guess are one guess.
//
// A flight takes no more logins in when the first of it has a result. So a stream of identical guesses makes one flight after the
// other, each counted.
type flights struct {
	key *fingerprint.Key // of name, password and network

	mutex   sync.Mutex
	open    map[fingerprint.Fingerprint]*flight
	sharing int
}

func newFlights() *flights {
	s := &flights{key: fingerprint.NewKey(), open: make(map[fingerprint.Fingerprint]*flight)}
	return s
}

// flight is one attempt, and the logins that take part in it.
type flight struct {
	flights *flights
	key     fingerprint.Fingerprint
	ctx     context.Context // of the work that is shared: it ends when all who take part have gone
	cancel  context.CancelFunc
	members int // guarded by the mutex of flights

	reserved chan struct{} // closed when the attempt was counted or refused
	refused  error         // read after reserved
	attempt  throttle.Attempt

	mutex    sync.Mutex
	results  map[string]*comparison // by what was compared: the record may change meanwhile
	settling bool

	done    chan struct{} // closed when the attempt was settled
	settled throttle.Result
	err     error // of Settle; both are read after done
}

// join takes part in the flight of a key, or starts it. It returns nil when too many wait.
func (s *flights) join(ctx context.Context, key fingerprint.Fingerprint) (f *flight, first bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if f := s.open[key]; f != nil {
		if s.sharing >= maxSharing {
			return nil, false
		}
		s.sharing++
		f.members++
		return f, false
	}
	// The unit of work belongs to the request, and the shared work may go on without it.
	ctx, cancel := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), batchKey{}, (*batch)(nil)))
	f = &flight{
		flights: s, key: key, ctx: ctx, cancel: cancel, members: 1,
		reserved: make(chan struct{}), done: make(chan struct{}), results: make(map[string]*comparison),
	}
	s.open[key] = f
	return f, true
}

// leave ends the part of one login. Without any, the shared work ends too.
func (s *flights) leave(f *flight) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if f.members--; f.members > 0 {
		s.sharing--
		return
	}
	s.remove(f)
	f.cancel()
}

// remove closes a flight to others. The mutex is held.
func (s *flights) remove(f *flight) {
	if s.open[f.key] == f {
		delete(s.open, f.key)
	}
}

func (s *flights) close(f *flight) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.remove(f)
}

// decided lets those go on who wait for the reservation.
func (f *flight) decided(err error) {
	f.refused = err
	if err != nil {
		f.flights.close(f)
	}
	close(f.reserved)
}

// wait waits for one of the channels of the flight.
func (f *flight) wait(ctx context.Context, op string, until <-chan struct{}) error {
	select {
	case <-until:
		return nil
	case <-ctx.Done():
		return unavailable.Error(op, ctx.Err())
	}
}

// compare returns what comparing the password with the record has shown. Whoever asks first about a record computes it.
func (f *flight) compare(ctx context.Context, u *Users, op string, a *account, name, secret string) (*comparison, error) {
	key := string(a.record)
	r, err := a.user()
	if err == nil && r != nil {
		key = r.comparedBy()
	}
	f.mutex.Lock()
	c := f.results[key]
	mine := c == nil
	if mine {
		c = &comparison{done: make(chan struct{}), outcome: outcome{err: unavailable.Error(op, errPanicked)}}
		f.results[key] = c
	}
	f.mutex.Unlock()
	if !mine {
		return c, f.wait(ctx, op, c.done)
	}
	defer close(c.done)
	c.outcome = u.compare(f.ctx, op, a, name, secret)
	return c, nil
}

// settle counts the result of whoever has one first, and closes the flight to others. It returns what was counted.
func (f *flight) settle(ctx context.Context, u *Users, op string, c *comparison) (throttle.Result, error) {
	f.mutex.Lock()
	mine := !f.settling
	f.settling = true
	f.mutex.Unlock()
	if !mine {
		if err := f.wait(ctx, op, f.done); err != nil {
			return "", err
		}
		return f.settled, f.err
	}
	f.flights.close(f)
	f.settled, f.err = c.result(), unavailable.Error(op, errPanicked)
	defer close(f.done)
	err := u.throttle.Settle(context.WithoutCancel(f.ctx), f.attempt, f.settled)
	if f.settled != throttle.Failed {
		// The password was right, or it is not known: neither depends on the count.
		err = nil
	}
	f.err = err
	return f.settled, err
}
