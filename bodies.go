package opgrant

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/compat"
)

const (
	defaultBodyBudget = 32 << 20 // bytes

	// freeBody is what each request may hold without taking from the budget, in bytes. Nearly all requests are smaller, so that
	// large ones that use the budget up make no difference to them. The number of connections bounds it.
	freeBody = 16 << 10
)

// errNoBudget is the error of a body that is held back by the budget. Both APIs answer it 503 with Retry-After.
var errNoBudget = &compat.RetryError{
	Err:   errors.Join(errors.New("opgrant: the bodies of other requests hold all of Config.BodyBudget"), fosite.ErrTemporarilyUnavailable),
	After: time.Second,
}

// bodyBudget bounds the bytes that the bodies of all requests hold at a time, beyond freeBody each.
type bodyBudget struct{ left atomic.Int64 }

func newBodyBudget(bytes int64) *bodyBudget {
	b := &bodyBudget{}
	b.left.Store(bytes)
	return b
}

// meter counts a body as it is read. The release gives back what it took, and is called when the request has ended.
func (b *bodyBudget) meter(body io.Reader) (metered io.Reader, release func()) {
	m := &meteredBody{body: body, budget: b, free: freeBody}
	return m, m.release
}

// take never waits: a request that waits for the budget would hold what it has already taken.
func (b *bodyBudget) take(n int64) bool {
	if b.left.Add(-n) >= 0 {
		return true
	}
	b.left.Add(n)
	return false
}

// meteredBody is the body of one request. It is used by the goroutine of the request alone.
type meteredBody struct {
	body   io.Reader
	budget *bodyBudget
	free   int64
	taken  int64
}

// Read takes from the budget what has arrived. What has not arrived costs nothing, whatever Content-Length says.
func (m *meteredBody) Read(p []byte) (int, error) {
	n, err := m.body.Read(p)
	beyond := int64(n) - m.free
	m.free = max(0, -beyond)
	if beyond > 0 {
		if !m.budget.take(beyond) {
			return 0, errNoBudget
		}
		m.taken += beyond
	}
	return n, err
}

func (m *meteredBody) release() {
	m.budget.left.Add(m.taken)
	m.taken = 0
}
