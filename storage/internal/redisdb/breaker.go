package redisdb

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"
)

// breaker sheds load while Redis is out of reach: after 20 failures in a row, operations fail at once instead of waiting for
// their deadline, and one at a time is let through to find out whether Redis is back.
type breaker struct {
	circuit *gobreaker.CircuitBreaker[struct{}]
}

func newBreaker() breaker {
	return breaker{gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         "redis",
		MaxRequests:  1,
		Timeout:      500 * time.Millisecond,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= 20 },
		IsSuccessful: func(err error) bool { return !unreachable(err) },
	})}
}

func (b breaker) run(f func() error) error {
	_, err := b.circuit.Execute(func() (struct{}, error) { return struct{}{}, f() })
	return err
}

// unreachable tells whether Redis could not be asked. An error that Redis itself answered is not one.
func unreachable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) ||
		errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrClosed)
}
