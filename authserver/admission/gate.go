package admission

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Gate admits work. It is safe for concurrent use. The zero value and nil admit everything at once.
type Gate struct {
	limits Limits

	urgent  atomic.Int64 // work of priority First that runs or waits
	left    atomic.Int64 // when such work was last done, in Unix nanoseconds
	refused atomic.Int64

	mu      sync.Mutex
	running int
	queues  [2]queue
	turn    int // places given while both queues had work
	mean    time.Duration
}

// NewGate returns a gate with the given bounds.
func NewGate(l Limits) *Gate { return &Gate{limits: l, mean: l.Expect} }

// Ticket is the right to do a piece of work, until Leave. The zero value is one of a gate that admits everything.
type Ticket struct {
	gate  *Gate
	began time.Time
	first bool
}

// Enter waits for a place. If there will not be one in time, or ctx ends before, the error is ErrBusy, for which
// errors.Is(err, fosite.ErrTemporarilyUnavailable) holds. Call Leave when the work is done, also after a panic: by defer.
func (g *Gate) Enter(ctx context.Context, p Priority) (Ticket, error) {
	return g.enter(ctx, p, false)
}

// Continue is Enter for work that another gate has admitted before and that has cost something since. It waits its turn like
// work of priority First, but is not refused because the queue is long.
func (g *Gate) Continue(ctx context.Context) (Ticket, error) { return g.enter(ctx, First, true) }

func (g *Gate) enter(ctx context.Context, p Priority, continued bool) (Ticket, error) {
	if g == nil || g.limits.Running <= 0 {
		return Ticket{}, nil
	}
	t := Ticket{gate: g, first: p == First && !continued}
	wait := g.limits.Wait + g.limits.Wait/3 // estimates are a little off
	if continued {
		wait = g.limits.Wait // it has waited before
	}
	g.mu.Lock()
	if g.running < g.allowed() && g.queues[First].len == 0 && (g.queues[Later].len == 0 || p == First) {
		g.running++
		g.countUrgent(t, 1)
		g.mu.Unlock()
		t.began = time.Now()
		return t, nil
	}
	if ctx.Err() != nil || !continued && !g.fits(p) {
		g.mu.Unlock()
		g.refused.Add(1)
		return Ticket{}, ErrBusy
	}
	w := &waiter{ready: make(chan struct{})}
	g.queues[p].push(w)
	g.countUrgent(t, 1)
	g.dispatch() // the gate before this one may have become idle
	g.mu.Unlock()

	if !g.await(ctx, p, w, wait) {
		g.countUrgent(t, -1)
		g.refused.Add(1)
		return Ticket{}, ErrBusy
	}
	t.began = time.Now()
	return t, nil
}

// countUrgent counts work that other gates are behind.
func (g *Gate) countUrgent(t Ticket, n int64) {
	if !t.first {
		return
	}
	if n < 0 {
		g.left.Store(time.Now().UnixNano())
	}
	g.urgent.Add(n)
}

// await tells whether the waiter got its place. One that gives up leaves the queue.
func (g *Gate) await(ctx context.Context, p Priority, w *waiter, longest time.Duration) bool {
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case <-w.ready:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.queued {
		g.queues[p].remove(w)
		return false
	}
	if ctx.Err() != nil { // it got a place at the same moment
		g.running--
		g.dispatch()
		return false
	}
	return true
}

// allowed is how many may run now.
func (g *Gate) allowed() int {
	if b := g.limits.Behind; b != nil && b.isUrgent() {
		return max(1, g.limits.Running-1)
	}
	return g.limits.Running
}

// isUrgent tells whether there is work of priority First, or was a moment ago: more is likely to come.
func (g *Gate) isUrgent() bool {
	return g.urgent.Load() > 0 || time.Now().UnixNano()-g.left.Load() < int64(urgentFor)
}

// fits estimates whether one more would get its place in time.
func (g *Gate) fits(p Priority) bool {
	first, later := g.queues[First].len, g.queues[Later].len
	ahead := first
	if p == Later {
		if ahead += later; first > 0 {
			ahead = max(ahead, laterShare*later)
		}
	}
	wait := g.mean * time.Duration(ahead+1) / time.Duration(g.allowed())
	return first+later < g.limits.Queue && wait <= g.limits.Wait
}

// Leave gives the place to the next one. Further calls do nothing.
func (t *Ticket) Leave() {
	g := t.gate
	if g == nil {
		return
	}
	g.countUrgent(*t, -1)
	took := min(time.Since(t.began), g.limits.Wait) // one that was held up tells little about the others
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mean += (took - g.mean) / time.Duration(8*g.limits.Running) // about the last 8 of each place
	g.running--
	t.gate = nil
	g.dispatch()
}

// dispatch gives free places away.
func (g *Gate) dispatch() {
	for g.running < g.allowed() {
		from := &g.queues[First]
		if both := from.len > 0 && g.queues[Later].len > 0; both {
			g.turn++
		}
		if from.len == 0 || g.turn >= laterShare {
			from, g.turn = &g.queues[Later], 0
		}
		w := from.pop()
		if w == nil {
			return
		}
		g.running++
		close(w.ready)
	}
}

// Numbers are what a gate does at a moment.
type Numbers struct {
	Running, Waiting int
	Refused          int64 // since the start, those that waited in vain or were cancelled included
}

// Numbers returns what the gate does now.
func (g *Gate) Numbers() Numbers {
	if g == nil {
		return Numbers{}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return Numbers{Running: g.running, Waiting: g.queues[First].len + g.queues[Later].len, Refused: g.refused.Load()}
}
