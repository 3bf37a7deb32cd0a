package admission

import (
	"runtime"
	"time"

	"github.com/ory/fosite"
)

// ErrBusy is the error for work that is not admitted: there is too much of it already.
// errors.Is(err, fosite.ErrTemporarilyUnavailable) holds, so that it is answered 503 with Retry-After.
var ErrBusy error = busyError{}

type busyError struct{}

func (busyError) Error() string { return "admission: too much work at once" }

func (busyError) Is(target error) bool { return fosite.ErrTemporarilyUnavailable.Is(target) }

// Gates are those of a server. Nil fields admit everything.
type Gates struct {
	// Requests is for the work of the OAuth endpoints: client authentication, signatures, the store.
	Requests *Gate
	// Hashes is for password hashes.
	Hashes *Gate
}

const (
	// requestsPerCore keeps the cores busy while some requests wait for the store. More would only make each one slower.
	requestsPerCore = 16
	// requestWait is longer than a client likes to wait, because one that is refused comes back, and each refusal takes time from
	// those that are served. One that gives up leaves the queue.
	requestWait = 5 * time.Second
	// hashWait is long because a burst of right passwords is answered late rather than refused: 500 at once take 12 s on two
	// cores. With a third more, and requestWait after it, an answer is still written within 30 s (http.write_timeout).
	hashWait = 18 * time.Second
	// queuePerCore bounds the memory of what waits. Large bodies have a budget besides (opgrant.Config.BodyBudget).
	queuePerCore = 2048
)

// New returns the gates for the cores that the process may use.
func New() Gates {
	cores := runtime.GOMAXPROCS(0)
	requests := NewGate(Limits{
		Running: requestsPerCore * cores, Wait: requestWait, Queue: queuePerCore * cores, Expect: 5 * time.Millisecond,
	})
	return Gates{Requests: requests, Hashes: NewHashes(requests)}
}

// NewHashes returns a gate for password hashes: as many at a time as there are cores. Requests, unless it is nil, go before
// them.
func NewHashes(requests *Gate) *Gate {
	cores := runtime.GOMAXPROCS(0)
	return NewGate(Limits{
		Running: cores, Wait: hashWait, Queue: queuePerCore * cores, Expect: 25 * time.Millisecond, Behind: requests,
	})
}
