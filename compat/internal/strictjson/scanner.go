package strictjson

// maxDepth bounds nesting. The recorded server takes 10,000 levels. Each level costs one container.
const maxDepth = 1 << 16

// state says what the next byte may be. Those that read one string, literal or number are in token.go.
type state int

const (
	beforeValue  state = iota // a value has to follow
	firstElement              // behind [: a value or ]
	firstKey                  // behind {: a key or }
	beforeKey                 // behind a comma in an object
	beforeColon
	afterValue // a comma or the end of the container; behind the top-level value nothing

	inString
	inEscape
	inHex
	inLiteral

	afterMinus
	afterZero
	inInteger
	afterPoint
	inFraction
	afterE
	afterSign
	inExponent
)

// container is an array or object that is still open.
type container struct {
	array     bool
	firstKey  int                 // index in scanner.keys of the first key of this object
	seen      map[string]struct{} // :: its keys, once there are many
	latestKey string
}

// member is a member of the top-level object: its key, and the offsets of its value.
type member struct {
	key        string
	start, end int
}

// scanner reads one JSON text. The zero value checks the keys of all objects.
type scanner struct {
	topKeysOnly bool // check only the keys of the top-level object
	keyLimit    int  // bound for the bytes of the kept keys; 0: none
	keyBytes    int
	refused     []string // keys that the text must not have

	state state
	pos   int         // offset of the byte being read
	open  []container // innermost last
	keys  []string    // keys of the open objects

	isKey   bool   // the string being read is a key
	keep    bool   // the string being read is kept in text
	text    []byte // the key being read, with its quotes
	hexLeft int    // digits left of a \u escape
	literal string // what is left of true, false or null

	start   int // offset of the top-level member's value being read
	members []member
}

// write reads the next bytes of the text.
func (s *scanner) write(p []byte) (int, error) {
	for i := 0; i < len(p); i++ {
		if s.state == inString && !s.keep {
			n := ordinaryBytes(p[i:])
			i, s.pos = i+n, s.pos+n
			if i == len(p) {
				break
			}
		}
		if err := s.step(p[i]); err != nil {
			return i, err
		}
		s.pos++
	}
	return len(p), nil
}

// end tells whether the text is complete. A number at the top level ends only here: a space behind it changes nothing else.
func (s *scanner) end() error {
	if err := s.step(' '); err != nil || s.state != afterValue || len(s.open) > 0 {
		return errTruncated
	}
	return nil
}

// step reads one byte.
func (s *scanner) step(c byte) error {
	switch {
	case s.state >= afterMinus:
		return s.numberByte(c)
	case s.state == inLiteral:
		return s.literalByte(c)
	case s.state >= inString:
		return s.stringByte(c)
	case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		return nil
	}
	switch s.state {
	case firstElement:
		if c == ']' {
			s.closeContainer()
			return nil
		}
		return s.startValue(c)
	case firstKey:
		if c == '}' {
			s.closeContainer()
			return nil
		}
		return s.startKey(c)
	case beforeKey:
		return s.startKey(c)
	case beforeColon:
		if c != ':' {
			return s.unexpected()
		}
		s.state = beforeValue
		return nil
	case afterValue:
		return s.separator(c)
	default: // beforeValue
		return s.startValue(c)
	}
}

// separator reads the byte behind a value.
func (s *scanner) separator(c byte) error {
	if len(s.open) == 0 {
		return s.unexpected()
	}
	array := s.open[len(s.open)-1].array
	switch {
	case c == ',' && array:
		s.state = beforeValue
	case c == ',':
		s.state = beforeKey
	case c == ']' && array, c == '}' && !array:
		s.closeContainer()
	default:
		return s.unexpected()
	}
	return nil
}

func (s *scanner) openContainer(array bool) error {
	if len(s.open) == maxDepth {
		return errTooDeep
	}
	s.open = append(s.open, container{array: array, firstKey: len(s.keys)})
	s.state = firstKey
	if array {
		s.state = firstElement
	}
	return nil
}

func (s *scanner) closeContainer() {
	last := len(s.open) - 1
	s.keys = s.keys[:s.open[last].firstKey]
	s.open = s.open[:last]
	s.endValue(s.pos + 1)
}

// endValue notes the end of a value. It is kept if it belongs to the top-level object.
func (s *scanner) endValue(end int) {
	s.state = afterValue
	if len(s.open) == 1 && !s.open[0].array {
		s.members = append(s.members, member{s.open[0].latestKey, s.start, end})
	}
}
