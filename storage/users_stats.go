package storage

import (
	"errors"
	"sync/atomic"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// LoginStats counts the logins by password of this process, for metrics: each by its result, and those that took part in another
// one besides.
type LoginStats struct {
	Succeeded   int64
	Failed      int64 // unknown and disabled users too
	Throttled   int64 // refused without comparing the password
	Unavailable int64

	Shared int64 // had the hash of an identical login in progress
}

type loginStats struct {
	succeeded, failed, throttled, unavailable, shared atomic.Int64
}

func (s *loginStats) count(err error) {
	switch {
	case err == nil:
		s.succeeded.Add(1)
	case errors.As(err, new(policy.TooManyAttempts)):
		s.throttled.Add(1)
	case !unavailable.Is(err) && (errors.Is(err, fosite.ErrNotFound) || errors.Is(err, ErrUserDisabled)):
		s.failed.Add(1)
	default:
		s.unavailable.Add(1)
	}
}

// LoginStats returns the counts of this process so far.
func (u *Users) LoginStats() LoginStats {
	s := &u.stats
	return LoginStats{
		Succeeded: s.succeeded.Load(), Failed: s.failed.Load(), Throttled: s.throttled.Load(), Unavailable: s.unavailable.Load(),
		Shared: s.shared.Load(),
	}
}
