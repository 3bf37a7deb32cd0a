package strictjson

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
)

// Kind is the type of a JSON value.
type Kind int

// The kinds of value. Absent is that of the zero Value.
const (
	Absent Kind = iota
	Null
	Boolean
	Number
	String
	Array
	Object
)

// String names the kind.
func (k Kind) String() string {
	return [...]string{"absent", "null", "boolean", "number", "string", "array", "object"}[k]
}

// Value is one value of a text that was accepted. The zero value is a member that is not there.
type Value struct {
	Raw json.RawMessage // as it was sent, without the white space around it
}

// Kind returns the type of the value.
func (v Value) Kind() Kind {
	if len(v.Raw) == 0 {
		return Absent
	}
	switch v.Raw[0] {
	case 'n':
		return Null
	case 't', 'f':
		return Boolean
	case '"':
		return String
	case '[':
		return Array
	case '{':
		return Object
	}
	return Number
}

// Text returns the decoded string, or "" for values of another kind.
func (v Value) Text() string {
	if v.Kind() != String {
		return ""
	}
	if bytes.IndexByte(v.Raw, '\\') < 0 {
		return string(v.Raw[1 : len(v.Raw)-1])
	}
	var s string
	if err := json.Unmarshal(v.Raw, &s); err != nil {
		panic("strictjson: decode accepted string: " + err.Error())
	}
	return s
}

// Number returns the number, infinite if it is too large for a float64, or 0 for values of another kind.
func (v Value) Number() float64 {
	if v.Kind() != Number {
		return 0
	}
	f, err := strconv.ParseFloat(string(v.Raw), 64)
	if err != nil && !math.IsInf(f, 0) {
		panic("strictjson: decode accepted number: " + err.Error())
	}
	return f
}

// Bool tells whether the value is true.
func (v Value) Bool() bool { return v.Kind() == Boolean && v.Raw[0] == 't' }
