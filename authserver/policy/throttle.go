package policy

import "time"

// TooManyAttempts is the error of a login that is refused before its password is compared, because too many have failed. It is found
// by errors.As, as a value.
type TooManyAttempts struct {
	RetryAfter time.Duration // when another attempt may be made
}

func (TooManyAttempts) Error() string { return "too many attempts have failed" }
