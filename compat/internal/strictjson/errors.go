package strictjson

import "fmt"

// SyntaxError says what is wrong with a text.
type SyntaxError string

func (e SyntaxError) Error() string { return string(e) }

const (
	// ErrNotUTF8 is returned for a text with bytes that are not UTF-8.
	ErrNotUTF8 = SyntaxError("Invalid UTF-8 in JSON")
	// ErrTooManyKeys is returned for a stream whose top-level keys exceed the limit.
	ErrTooManyKeys = SyntaxError("Too many keys in JSON")

	errTruncated = SyntaxError("Unexpected end of JSON input")
	errPrototype = SyntaxError("Object contains forbidden prototype property")
	errTooDeep   = SyntaxError("Request body is nested too deeply")
)

// RefusedKey is the error for a key that the reader of the text refuses. It comes from the reader's own list.
func RefusedKey(key string) SyntaxError { return SyntaxError("'" + key + "' is not allowed") }

func (s *scanner) unexpected() error {
	return SyntaxError(fmt.Sprintf("Unexpected token in JSON at position %d", s.pos))
}
