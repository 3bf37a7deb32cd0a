package binarymap

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// ErrInvalid is returned for a body that is not one map, or that has a part which is not accepted.
var ErrInvalid = errors.New("binarymap: not a map with plain keys and values")

// maxDepth bounds nesting.
const maxDepth = 200

// Member is one key of the map. Text is empty unless the value is a text.
type Member struct{ Key, Text string }

// reader reads a body from its beginning. next reads one value; the two formats differ only there.
type reader struct {
	data  []byte
	depth int
	next  func(*reader) (item, error)
}

// item is the beginning of a value: a text, a container of n values that follow, or something that is complete.
type item struct {
	text    string
	isText  bool
	isMap   bool
	n       int  // values of a container; a map has two for each key
	endless bool // until a break
	isBreak bool
}

// members reads the whole body.
func members(data []byte, next func(*reader) (item, error)) ([]Member, error) {
	r := &reader{data: data, next: next}
	top, err := r.next(r)
	if err != nil || !top.isMap {
		return nil, ErrInvalid
	}
	var list []Member
	seen := map[string]bool{}
	for i := 0; top.endless || i < top.n; i += 2 {
		key, err := r.next(r)
		if err == nil && top.endless && key.isBreak {
			break
		}
		if err != nil || !key.isText || seen[key.text] {
			return nil, ErrInvalid
		}
		seen[key.text] = true
		value, err := r.value()
		if err != nil {
			return nil, err
		}
		list = append(list, Member{key.text, value.text})
	}
	if len(r.data) > 0 {
		return nil, ErrInvalid
	}
	return list, nil
}

// value reads one value with all that is in it.
func (r *reader) value() (item, error) {
	v, err := r.next(r)
	if err != nil || v.isBreak || r.depth == maxDepth {
		return item{}, ErrInvalid
	}
	r.depth++
	defer func() { r.depth-- }()
	for i := 0; v.endless || i < v.n; i++ {
		if v.endless && len(r.data) > 0 && r.data[0] == cborBreak && (!v.isMap || i%2 == 0) {
			r.data = r.data[1:]
			break
		}
		if _, err := r.value(); err != nil {
			return item{}, err
		}
	}
	return v, nil
}

// take reads n bytes.
func (r *reader) take(n uint64) ([]byte, error) {
	if n > uint64(len(r.data)) {
		return nil, ErrInvalid
	}
	taken := r.data[:n]
	r.data = r.data[n:]
	return taken, nil
}

// number reads an unsigned number of 0, 1, 2, 4 or 8 bytes.
func (r *reader) number(size uint64) (uint64, error) {
	var wide [8]byte
	b, err := r.take(size)
	if err != nil {
		return 0, err
	}
	copy(wide[8-len(b):], b)
	return binary.BigEndian.Uint64(wide[:]), nil
}

func (r *reader) text(n uint64) (item, error) {
	b, err := r.take(n)
	if err != nil || !utf8.Valid(b) {
		return item{}, ErrInvalid
	}
	return item{text: string(b), isText: true}, nil
}

// container has n entries. More than there are bytes is not a container.
func (r *reader) container(n uint64, isMap bool) (item, error) {
	if n > uint64(len(r.data)) {
		return item{}, ErrInvalid
	}
	count := int(n) // #nosec G115 -- at most the length of the body
	if isMap {
		count *= 2
	}
	return item{isMap: isMap, n: count}, nil
}

func (r *reader) skip(n uint64) (item, error) {
	_, err := r.take(n)
	return item{}, err
}
