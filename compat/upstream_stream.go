package compat

import (
	"io"
	"slices"
	"unicode/utf8"

	"github.com/opgrant/opgrant/compat/internal/strictjson"
)

// maxStreamedKeys bounds the memory for the top-level keys of a large body, in bytes.
const maxStreamedKeys = 1 << 20

// largeBody is a JSON body that is larger than MaxBody. It is read while it is forwarded, so that it is never held whole. Its
// keys are checked on the way: a second `operation` behind the one that was authorized would be the one that the upstream runs.
type largeBody struct {
	beginning []byte
	unread    io.ReadCloser
	check     *strictjson.Stream // has seen the beginning
}

var _ io.ReadCloser = (*largeBody)(nil)

// decodeLargeBody finds the operation in the beginning of a large body. Only those that are forwarded may be so large.
func (h *Handler) decodeLargeBody(c *call, beginning []byte) error {
	check, members, err := strictjson.NewStream(beginning, maxStreamedKeys, slices.Concat(internalMembers, []string{nestedOperation})...)
	if err != nil {
		return bodyError(err)
	}
	value := newOperation(members).value
	if !utf8.Valid(value.Raw) {
		return bodyError(strictjson.ErrNotUTF8)
	}
	if value.Kind() != strictjson.String || !h.forwarded(value.Text()) || value.Text() == loginOperation || c.r.ContentLength > h.upstream.MaxBody {
		return tooLarge()
	}
	// Only the operation is taken from the body: a caller has to be in the header.
	c.op = &operation{value: value}
	c.large = &largeBody{beginning: beginning, unread: c.r.Body, check: check}
	return nil
}

// Read returns the body from its beginning, and an error as soon as it is refused.
func (b *largeBody) Read(p []byte) (int, error) {
	if len(b.beginning) > 0 {
		n := copy(p, b.beginning)
		b.beginning = b.beginning[n:]
		return n, nil
	}
	n, err := b.unread.Read(p)
	if _, refusal := b.check.Write(p[:n]); refusal != nil {
		return 0, bodyError(refusal)
	}
	return n, err
}

// Close closes the body of the request.
func (b *largeBody) Close() error { return b.unread.Close() }
