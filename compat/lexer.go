package compat

import "fmt"

// text reads a string and returns it with its quotes.
func (s *scanner) text() ([]byte, error) {
	start := s.pos
	for s.pos++; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			return s.data[start:s.pos], nil
		case c < ' ':
			return nil, syntaxError(fmt.Sprintf("Bad control character in string literal in JSON at position %d", s.pos))
		case c == '\\':
			if err := s.escape(); err != nil {
				return nil, err
			}
		}
	}
	return nil, errTruncated
}

// escape reads an escape sequence up to its last byte.
func (s *scanner) escape() error {
	s.pos++
	if s.pos == len(s.data) {
		return errTruncated
	}
	switch s.data[s.pos] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
		for range 4 {
			s.pos++
			if s.pos == len(s.data) {
				return errTruncated
			}
			if !hexDigit(s.data[s.pos]) {
				return s.unexpected()
			}
		}
		return nil
	}
	return s.unexpected()
}

func hexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// number reads a number: RFC 8259, section 6.
func (s *scanner) number() error {
	if s.data[s.pos] == '-' {
		s.pos++
	}
	if s.pos < len(s.data) && s.data[s.pos] == '0' {
		s.pos++
	} else if err := s.digits(); err != nil {
		return err
	}
	if s.pos < len(s.data) && s.data[s.pos] == '.' {
		s.pos++
		if err := s.digits(); err != nil {
			return err
		}
	}
	if s.pos < len(s.data) && (s.data[s.pos] == 'e' || s.data[s.pos] == 'E') {
		s.pos++
		if s.pos < len(s.data) && (s.data[s.pos] == '+' || s.data[s.pos] == '-') {
			s.pos++
		}
		return s.digits()
	}
	return nil
}

func (s *scanner) digits() error {
	start := s.pos
	for s.pos < len(s.data) && s.data[s.pos] >= '0' && s.data[s.pos] <= '9' {
		s.pos++
	}
	switch {
	case s.pos > start:
		return nil
	case s.pos == len(s.data):
		return errTruncated
	}
	return s.unexpected()
}

func (s *scanner) literal(word string) error {
	for i := range len(word) {
		if s.pos == len(s.data) {
			return errTruncated
		}
		if s.data[s.pos] != word[i] {
			return s.unexpected()
		}
		s.pos++
	}
	return nil
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) unexpected() error {
	return syntaxError(fmt.Sprintf("Unexpected token in JSON at position %d", s.pos))
}
