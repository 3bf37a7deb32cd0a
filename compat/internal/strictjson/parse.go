package strictjson

import (
	"bytes"
	"unicode/utf8"
)

// byteOrderMark may stand before a text and is not part of it.
var byteOrderMark = []byte("\ufeff")

// Member is one key of an object with its value.
type Member struct {
	Key   string
	Value Value
}

// Parse reads one whole text. It returns the top-level value and, if that is an object, its members in their order. The values
// share the memory of data.
func Parse(data []byte) (Value, []Member, error) {
	data = bytes.TrimPrefix(data, byteOrderMark)
	if !utf8.Valid(data) {
		return Value{}, nil, ErrNotUTF8
	}
	var s scanner
	if _, err := s.write(data); err != nil {
		return Value{}, nil, err
	}
	if err := s.end(); err != nil {
		return Value{}, nil, err
	}
	return Value{Raw: bytes.Trim(data, " \t\n\r")}, s.membersOf(data), nil
}

// Stream checks a text that arrives in pieces and is too large to hold. It checks the grammar, and of the keys only those of
// the top-level object: an inner object may have more keys than there is memory. It does not see a text that stops too early.
type Stream struct {
	scanner scanner
}

// NewStream starts with the beginning of a text and returns the members of the top-level object that are complete in it.
// keyLimit bounds the memory for the top-level keys, in bytes; beyond it the error is ErrTooManyKeys. A text that has one of the
// refused keys at its top level is not accepted.
func NewStream(beginning []byte, keyLimit int, refused ...string) (*Stream, []Member, error) {
	beginning = bytes.TrimPrefix(beginning, byteOrderMark)
	s := &Stream{scanner{topKeysOnly: true, keyLimit: keyLimit, refused: refused}}
	if _, err := s.scanner.write(beginning); err != nil {
		return nil, nil, err
	}
	return s, s.scanner.membersOf(beginning), nil
}

// Write checks the next piece of the text. It returns an error as soon as the text cannot be accepted.
func (s *Stream) Write(p []byte) (int, error) { return s.scanner.write(p) }

// membersOf returns the members found so far; data is the text from its first byte.
func (s *scanner) membersOf(data []byte) []Member {
	members := make([]Member, len(s.members))
	for i, m := range s.members {
		members[i] = Member{m.key, Value{Raw: data[m.start:m.end]}}
	}
	return members
}
