// Package unavailable marks errors of the store that say nothing about the token, client or user that was asked for: Redis
// did not answer, a record cannot be read, or the server is too busy.
package unavailable

import (
	"errors"

	"github.com/ory/fosite"
)

// ErrRecord is the cause for a stored record that this version cannot read. It may have been written by a newer version, so
// it is not treated as missing.
var ErrRecord = errors.New("unreadable record")

// errUnavailable is an error for which errors.Is(err, fosite.ErrTemporarilyUnavailable) holds, through any wrapping by
// fosite. Unlike a wrapped fosite error it keeps its own text.
type errUnavailable struct {
	op  string
	err error
}

func (e *errUnavailable) Error() string { return "storage: " + e.op + ": " + e.err.Error() }
func (e *errUnavailable) Unwrap() error { return e.err }

func (e *errUnavailable) Is(target error) bool {
	return fosite.ErrTemporarilyUnavailable.Is(target)
}

// Error returns the error with the operation before it, marked as unavailable. An error that is marked already is returned
// as it is, and nil stays nil.
func Error(op string, err error) error {
	if err == nil {
		return nil
	}
	var marked *errUnavailable
	if errors.As(err, &marked) {
		return err
	}
	return &errUnavailable{op: op, err: err}
}

// Is tells whether an error is marked as unavailable. Check it before fosite.ErrNotFound: an error may be both when the
// record of one part was not found while another part did not answer.
func Is(err error) bool { return errors.Is(err, fosite.ErrTemporarilyUnavailable) }
