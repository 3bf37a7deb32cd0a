package strictjson

import "fmt"

// startValue reads the first byte of a value.
func (s *scanner) startValue(c byte) error {
	if len(s.open) == 1 {
		s.start = s.pos
	}
	switch {
	case c == '{' || c == '[':
		return s.openContainer(c == '[')
	case c == '"':
		s.startString(false)
	case c == '-':
		s.state = afterMinus
	case c == '0':
		s.state = afterZero
	case c >= '1' && c <= '9':
		s.state = inInteger
	case c == 't':
		s.state, s.literal = inLiteral, "rue"
	case c == 'f':
		s.state, s.literal = inLiteral, "alse"
	case c == 'n':
		s.state, s.literal = inLiteral, "ull"
	default:
		return s.unexpected()
	}
	return nil
}

// startKey reads the first byte of a key.
func (s *scanner) startKey(c byte) error {
	if c != '"' {
		return s.unexpected()
	}
	s.startString(true)
	return nil
}

func (s *scanner) startString(isKey bool) {
	s.state, s.isKey = inString, isKey
	s.keep = isKey && (!s.topKeysOnly || len(s.open) == 1)
	s.text = append(s.text[:0], '"')
}

// stringByte reads one byte of a string.
func (s *scanner) stringByte(c byte) error {
	if s.keep {
		s.text = append(s.text, c)
		if s.keyLimit > 0 && s.keyBytes+len(s.text) > s.keyLimit {
			return ErrTooManyKeys
		}
	}
	switch {
	case s.state == inEscape:
		return s.escapeByte(c)
	case s.state == inHex:
		return s.hexByte(c)
	case c < ' ':
		return SyntaxError(fmt.Sprintf("Bad control character in string literal in JSON at position %d", s.pos))
	case c == '\\':
		s.state = inEscape
	case c == '"' && s.isKey:
		return s.endKey()
	case c == '"':
		s.endValue(s.pos + 1)
	}
	return nil
}

// ordinaryBytes counts the bytes at the beginning of p that stand for themselves in a string.
func ordinaryBytes(p []byte) int {
	for i, c := range p {
		if c < ' ' || c == '"' || c == '\\' {
			return i
		}
	}
	return len(p)
}

// escapeByte reads the byte behind a backslash.
func (s *scanner) escapeByte(c byte) error {
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.state = inString
	case 'u':
		s.state, s.hexLeft = inHex, 4
	default:
		return s.unexpected()
	}
	return nil
}

// hexByte reads one digit of a \u escape.
func (s *scanner) hexByte(c byte) error {
	if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
		return s.unexpected()
	}
	if s.hexLeft--; s.hexLeft == 0 {
		s.state = inString
	}
	return nil
}

func (s *scanner) literalByte(c byte) error {
	if c != s.literal[0] {
		return s.unexpected()
	}
	if s.literal = s.literal[1:]; s.literal == "" {
		s.endValue(s.pos + 1)
	}
	return nil
}

// numberByte reads one byte of a number, or the one behind it: RFC 8259, section 6.
func (s *scanner) numberByte(c byte) error {
	digit := c >= '0' && c <= '9'
	switch s.state {
	case afterMinus:
		if c == '0' {
			s.state = afterZero
			return nil
		}
		return s.numberDigit(digit, inInteger)
	case afterPoint:
		return s.numberDigit(digit, inFraction)
	case afterE:
		if c == '+' || c == '-' {
			s.state = afterSign
			return nil
		}
		return s.numberDigit(digit, inExponent)
	case afterSign:
		return s.numberDigit(digit, inExponent)
	}
	switch {
	case digit && s.state != afterZero:
	case c == '.' && (s.state == afterZero || s.state == inInteger):
		s.state = afterPoint
	case (c == 'e' || c == 'E') && s.state != inExponent:
		s.state = afterE
	default: // the number has ended before this byte
		s.endValue(s.pos)
		return s.step(c)
	}
	return nil
}

// numberDigit reads a byte that has to be a digit.
func (s *scanner) numberDigit(digit bool, next state) error {
	if !digit {
		return s.unexpected()
	}
	s.state = next
	return nil
}
