package admission

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ory/fosite"
)

func mustEnter(t *testing.T, g *Gate, p Priority) *Ticket {
	t.Helper()
	ticket, err := g.Enter(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return &ticket
}

// order records in which order work was admitted.
type order struct {
	mu   sync.Mutex
	seen []string
}

func (o *order) add(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, name)
}

// enter starts work that waits, and returns when it is in the queue. It leaves at once when it is admitted.
func (o *order) enter(t *testing.T, name string, enter func() (Ticket, error)) {
	t.Helper()
	go func() {
		ticket, err := enter()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		o.add(name)
		ticket.Leave()
	}()
	synctest.Wait()
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestGateAdmitsUpToTheLimitAndThenInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(Limits{Running: 2, Wait: time.Minute, Queue: 10})
		first, second := mustEnter(t, g, First), mustEnter(t, g, Later)
		var o order
		for _, name := range []string{"a", "b", "c"} {
			o.enter(t, name, func() (Ticket, error) { return g.Enter(t.Context(), First) })
		}
		want(t, "while two run", g.Numbers(), Numbers{Running: 2, Waiting: 3})
		first.Leave()
		first.Leave() // once more changes nothing
		synctest.Wait()
		want(t, "order", slices.Equal(o.seen, []string{"a", "b", "c"}), true)
		want(t, "afterwards", g.Numbers(), Numbers{Running: 1})
		second.Leave()
		want(t, "at the end", g.Numbers(), Numbers{})
	})
}

// Later work goes on, at a fifth of the places.
func TestGatePriorities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(Limits{Running: 1, Wait: time.Minute, Queue: 100})
		running := mustEnter(t, g, First)
		var o order
		for range 2 {
			o.enter(t, "later", func() (Ticket, error) { return g.Enter(t.Context(), Later) })
		}
		for range 4 {
			o.enter(t, "first", func() (Ticket, error) { return g.Enter(t.Context(), First) })
		}
		o.enter(t, "continued", func() (Ticket, error) { return g.Continue(t.Context()) })
		running.Leave()
		synctest.Wait()
		if want := []string{"first", "first", "first", "first", "later", "continued", "later"}; !slices.Equal(o.seen, want) {
			t.Errorf("order %v, want %v", o.seen, want)
		}
	})
}

// A newcomer does not overtake those that wait.
func TestGateIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := NewGate(Limits{Running: 1, Wait: time.Minute, Queue: 10})
		g := NewGate(Limits{Running: 2, Wait: time.Minute, Queue: 10, Behind: requests})
		urgent := mustEnter(t, requests, First)
		running := mustEnter(t, g, Later)
		var o order
		o.enter(t, "waiting", func() (Ticket, error) { return g.Enter(t.Context(), Later) })
		urgent.Leave()
		time.Sleep(urgentFor) // now there is a place for the one that waits
		o.enter(t, "newcomer", func() (Ticket, error) { return g.Enter(t.Context(), Later) })
		running.Leave()
		synctest.Wait()
		want(t, "order", slices.Equal(o.seen, []string{"waiting", "newcomer"}), true)
	})
}

func TestGateRefusesAtOnceWhatWouldWaitTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(Limits{Running: 2, Wait: time.Second, Queue: 1000, Expect: 100 * time.Millisecond})
		running := []*Ticket{mustEnter(t, g, Later), mustEnter(t, g, Later)}
		begun := time.Now()
		var o order
		for range 20 { // 20 × 100 ms / 2
			o.enter(t, "", func() (Ticket, error) { return g.Enter(t.Context(), Later) })
		}
		if _, err := g.Enter(t.Context(), Later); !errors.Is(err, ErrBusy) || !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("the 21st: %v", err)
		}
		want(t, "refused after", time.Since(begun), time.Duration(0))
		// A refresh goes before them. And what has been admitted elsewhere is not refused.
		o.enter(t, "", func() (Ticket, error) { return g.Enter(t.Context(), First) })
		o.enter(t, "", func() (Ticket, error) { return g.Continue(t.Context()) })
		for _, r := range running {
			r.Leave()
		}
		synctest.Wait()
		want(t, "admitted", len(o.seen), 22)
		want(t, "numbers", g.Numbers(), Numbers{Refused: 1})
	})
}

// The estimate follows what work takes.
func TestGateLearnsHowLongWorkTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(Limits{Running: 1, Wait: time.Second, Queue: 1000, Expect: time.Millisecond})
		for range 100 {
			ticket := mustEnter(t, g, First)
			time.Sleep(600 * time.Millisecond)
			ticket.Leave()
		}
		running := mustEnter(t, g, First)
		var o order
		o.enter(t, "one", func() (Ticket, error) { return g.Enter(t.Context(), First) })
		if _, err := g.Enter(t.Context(), First); !errors.Is(err, ErrBusy) {
			t.Errorf("a second one would wait for 1.2 s: %v", err)
		}
		running.Leave()
		synctest.Wait()
		want(t, "admitted", len(o.seen), 1)
	})
}

func TestGateBoundsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(Limits{Running: 1, Wait: time.Hour, Queue: 3})
		running := mustEnter(t, g, First)
		var o order
		for range 3 {
			o.enter(t, "", func() (Ticket, error) { return g.Enter(t.Context(), First) })
		}
		if _, err := g.Enter(t.Context(), First); !errors.Is(err, ErrBusy) {
			t.Errorf("the fourth: %v", err)
		}
		running.Leave()
		synctest.Wait()
	})
}

// If the estimate was wrong, the wait ends all the same.
func TestGateDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(Limits{Running: 1, Wait: 3 * time.Second, Queue: 10, Expect: time.Millisecond})
		running := mustEnter(t, g, First)
		begun := time.Now()
		_, err := g.Enter(t.Context(), First)
		if !errors.Is(err, ErrBusy) || time.Since(begun) != 4*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		running.Leave()
		want(t, "numbers", g.Numbers(), Numbers{Refused: 1})
		mustEnter(t, g, First).Leave()
	})
}

func TestGateForgetsCancelledWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(Limits{Running: 1, Wait: time.Hour, Queue: 10})
		running := mustEnter(t, g, First)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Second); cancel() }()
		if _, err := g.Enter(ctx, First); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Error(err)
		}
		want(t, "in the queue", g.Numbers().Waiting, 0)
		if _, err := g.Enter(ctx, First); !errors.Is(err, ErrBusy) {
			t.Errorf("cancelled before: %v", err)
		}
		running.Leave()
		want(t, "urgent work", g.urgent.Load(), int64(0))
		mustEnter(t, g, First).Leave()
	})
}

// Places are not lost, whether work is admitted, refused, late or cancelled, or gets its place as it is cancelled.
func TestGateLosesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(Limits{Running: 3, Wait: 3 * time.Millisecond, Queue: 20})
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() {
				time.Sleep(time.Duration(i%17) * time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+i%5)*time.Millisecond)
				defer cancel()
				ticket, err := g.Enter(ctx, Priority(i%2))
				if err != nil {
					return
				}
				defer ticket.Leave()
				if n := g.Numbers().Running; n > 3 {
					t.Errorf("%d at a time", n)
				}
				time.Sleep(time.Duration(i%4) * time.Millisecond)
			})
		}
		all.Wait()
		got := g.Numbers()
		if got.Running != 0 || got.Waiting != 0 || got.Refused == 0 || g.urgent.Load() != 0 {
			t.Errorf("%+v, %d urgent", got, g.urgent.Load())
		}
	})
}

func TestGatePlaceOfAPanic(t *testing.T) {
	g := NewGate(Limits{Running: 1})
	func() {
		defer func() { _ = recover() }()
		ticket := mustEnter(t, g, First)
		defer ticket.Leave()
		panic("at work")
	}()
	mustEnter(t, g, First).Leave()
}

// While requests are in flight, one fewer hash begins, but one does.
func TestGateBehindAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := NewGate(Limits{Running: 10})
		hashes := NewGate(Limits{Running: 2, Wait: time.Minute, Queue: 10, Behind: requests})
		request := mustEnter(t, requests, First)
		hash := mustEnter(t, hashes, Later)
		admitted := make(chan *Ticket)
		go func() { admitted <- mustEnter(t, hashes, Later) }()
		synctest.Wait()
		want(t, "with a request in flight", hashes.Numbers(), Numbers{Running: 1, Waiting: 1})
		hash.Leave()
		second := <-admitted
		request.Leave()
		if n := hashes.allowed(); n != 1 {
			t.Errorf("just after a request: %d places", n)
		}
		time.Sleep(urgentFor)
		third := mustEnter(t, hashes, Later)
		want(t, "without", hashes.Numbers(), Numbers{Running: 2})
		second.Leave()
		third.Leave()
		login := mustEnter(t, requests, Later) // a new session does not count
		mustEnter(t, hashes, Later)
		mustEnter(t, hashes, Later)
		login.Leave()
	})
}

func TestGateZeroValueAdmitsEverything(t *testing.T) {
	for _, g := range []*Gate{nil, {}, NewGate(Limits{})} {
		var tickets []*Ticket
		for range 100 {
			tickets = append(tickets, mustEnter(t, g, Later))
		}
		for _, ticket := range tickets {
			ticket.Leave()
		}
		want(t, "numbers", g.Numbers(), Numbers{})
	}
	var zero Ticket
	zero.Leave()
}

func TestGateRefusalsCostNothing(t *testing.T) {
	g := NewGate(Limits{Running: 1})
	defer mustEnter(t, g, First).Leave()
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { _, _ = g.Enter(ctx, First) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
