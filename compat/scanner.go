package compat

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// maxDepth bounds nesting. The recorded server takes 10,000 levels; a reader that recursed would need bounds of its own, this
// one keeps a frame of a few words for each level.
const maxDepth = 1 << 16

// manyKeys is the number of keys in one object from which duplicates are looked up in a map.
const manyKeys = 16

// syntaxError is what is wrong with a body, in words for the caller. It never quotes the body, which may hold a password.
type syntaxError string

func (e syntaxError) Error() string { return string(e) }

const (
	errTruncated = syntaxError("Unexpected end of JSON input")
	errPrototype = syntaxError("Object contains forbidden prototype property")
	// errNotUTF8 is the recorded text: that server counts the bytes after it has replaced what is not UTF-8.
	errNotUTF8 = syntaxError("Request body size did not match Content-Length")
)

// member is one key of the top-level object and the text of its value.
type member struct {
	key string
	raw []byte
}

// frame is one container that is still open.
type frame struct {
	array bool
	first int                 // where the keys of this object begin in scanner.keys
	seen  map[string]struct{} // :: keys, once there are many
	key   string              // the last key read
}

// scanner reads one JSON text from front to back, without recursion, and keeps the members of the top-level object.
//
// It is stricter than encoding/json: a key that stands twice in one object, a byte sequence that is not UTF-8 and the keys
// that JavaScript takes for prototypes are errors at any depth, so that no two readers see two requests in one body.
type scanner struct {
	data    []byte
	pos     int
	stack   []frame
	keys    []string
	members []member
	start   int // of the top-level value being read
}

// scan returns the top-level value and, when it is an object, its members in their order.
func scan(data []byte) (value, []member, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		return value{}, nil, errNotUTF8
	}
	s := &scanner{data: data}
	if err := s.run(); err != nil {
		return value{}, nil, err
	}
	return value{raw: bytes.TrimSpace(data)}, s.members, nil
}

func (s *scanner) run() error {
	for {
		open, err := s.value()
		if err != nil {
			return err
		}
		if open {
			continue
		}
		if more, err := s.after(); err != nil || !more {
			return err
		}
	}
}

// value reads a scalar, or opens a container and reads up to its first value; open says that a value has to follow.
func (s *scanner) value() (open bool, err error) {
	s.space()
	if s.pos == len(s.data) {
		return false, errTruncated
	}
	if len(s.stack) == 1 {
		s.start = s.pos
	}
	switch c := s.data[s.pos]; {
	case c == '{' || c == '[':
		if len(s.stack) == maxDepth {
			return false, syntaxError("Request body is nested too deeply")
		}
		s.pos++
		s.stack = append(s.stack, frame{array: c == '[', first: len(s.keys)})
		s.space()
		if s.pos < len(s.data) && s.data[s.pos] == c+2 { // '{'+2 is '}', '['+2 is ']'
			s.pos++
			s.pop()
			return false, nil
		}
		if c == '{' {
			return true, s.key()
		}
		return true, nil
	case c == '"':
		_, err := s.text()
		return false, err
	case c == '-' || c >= '0' && c <= '9':
		return false, s.number()
	case c == 't':
		return false, s.literal("true")
	case c == 'f':
		return false, s.literal("false")
	case c == 'n':
		return false, s.literal("null")
	}
	return false, s.unexpected()
}

// after closes what ends behind a value; more says that another value has to follow.
func (s *scanner) after() (more bool, err error) {
	for {
		s.record()
		s.space()
		if len(s.stack) == 0 {
			if s.pos < len(s.data) {
				return false, s.unexpected()
			}
			return false, nil
		}
		if s.pos == len(s.data) {
			return false, errTruncated
		}
		top := &s.stack[len(s.stack)-1]
		switch c := s.data[s.pos]; {
		case c == ',' && top.array:
			s.pos++
			return true, nil
		case c == ',':
			s.pos++
			return true, s.key()
		case c == ']' && top.array, c == '}' && !top.array:
			s.pos++
			s.pop()
		default:
			return false, s.unexpected()
		}
	}
}

// record keeps the value that has just ended if it belongs to the top-level object.
func (s *scanner) record() {
	if len(s.stack) == 1 && !s.stack[0].array {
		s.members = append(s.members, member{s.stack[0].key, s.data[s.start:s.pos]})
	}
}

func (s *scanner) pop() {
	top := s.stack[len(s.stack)-1]
	s.keys = s.keys[:top.first]
	s.stack = s.stack[:len(s.stack)-1]
}

// key reads a key and its colon.
func (s *scanner) key() error {
	s.space()
	if s.pos == len(s.data) {
		return errTruncated
	}
	if s.data[s.pos] != '"' {
		return s.unexpected()
	}
	raw, err := s.text()
	if err != nil {
		return err
	}
	name := value{raw: raw}.text()
	if err := s.enter(name); err != nil {
		return err
	}
	s.space()
	if s.pos == len(s.data) {
		return errTruncated
	}
	if s.data[s.pos] != ':' {
		return s.unexpected()
	}
	s.pos++
	return nil
}

// enter notes a key of the innermost object, unless it may not stand there.
func (s *scanner) enter(name string) error {
	top := &s.stack[len(s.stack)-1]
	if name == "__proto__" || name == "prototype" && s.inConstructor() {
		return errPrototype
	}
	known := s.keys[top.first:]
	if top.seen == nil && len(known) >= manyKeys {
		top.seen = make(map[string]struct{}, 2*len(known))
		for _, k := range known {
			top.seen[k] = struct{}{}
		}
	}
	duplicate := false
	if top.seen != nil {
		_, duplicate = top.seen[name]
		top.seen[name] = struct{}{}
	} else {
		for _, k := range known {
			duplicate = duplicate || k == name
		}
		s.keys = append(s.keys, name)
	}
	if duplicate {
		return syntaxError(fmt.Sprintf("Duplicate property name in JSON at position %d", s.pos))
	}
	top.key = name
	return nil
}

func (s *scanner) inConstructor() bool {
	if len(s.stack) < 2 {
		return false
	}
	outer := s.stack[len(s.stack)-2]
	return !outer.array && outer.key == "constructor"
}
