package compat

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// kind is the type of a JSON value, as JavaScript sees it.
type kind int

const (
	absent kind = iota
	null
	boolean
	number
	text
	array
	object
)

// value is one JSON value that has been scanned; the zero value is a member that is not there.
type value struct {
	raw []byte
}

func (v value) kind() kind {
	if len(v.raw) == 0 {
		return absent
	}
	switch v.raw[0] {
	case 'n':
		return null
	case 't', 'f':
		return boolean
	case '"':
		return text
	case '[':
		return array
	case '{':
		return object
	}
	return number
}

// nullish tells the two values that JavaScript takes for nothing.
func (v value) nullish() bool { return v.kind() <= null }

// truthy is JavaScript's idea of a condition, by which the recorded server decides whether credentials are there.
func (v value) truthy() bool {
	switch v.kind() {
	case boolean:
		return v.raw[0] == 't'
	case number:
		return v.number() != 0
	case text:
		return len(v.raw) > 2
	case array, object:
		return true
	}
	return false
}

// text is the decoded string; other kinds have none.
func (v value) text() string {
	if v.kind() != text {
		return ""
	}
	if bytes.IndexByte(v.raw, '\\') < 0 {
		return string(v.raw[1 : len(v.raw)-1])
	}
	var s string
	if err := json.Unmarshal(v.raw, &s); err != nil {
		panic("compat: decode scanned string: " + err.Error())
	}
	return s
}

// number is the value as JavaScript holds it; what is too large is infinite.
func (v value) number() float64 {
	if v.kind() != number {
		return 0
	}
	f, err := strconv.ParseFloat(string(v.raw), 64)
	if err != nil && !math.IsInf(f, 0) {
		panic("compat: decode scanned number: " + err.Error())
	}
	return f
}

func (v value) bool() bool { return v.kind() == boolean && v.raw[0] == 't' }

// name is the value in the place of a name: the recorded server takes numbers and booleans for their text there.
func (v value) name() (string, bool) {
	switch v.kind() {
	case text:
		return v.text(), true
	case boolean:
		return string(v.raw), true
	case number:
		f := v.number()
		if a := math.Abs(f); a != 0 && (a >= 1e21 || a < 1e-6) {
			return strings.Replace(strconv.FormatFloat(f, 'e', -1, 64), "e-0", "e-", 1), true
		}
		return strconv.FormatFloat(f, 'f', -1, 64), true
	}
	return "", false
}

// empty is a value without length or size, or none at all.
func (v value) empty() bool {
	switch v.kind() {
	case absent, null:
		return true
	case text:
		return len(v.raw) == 2
	case array:
		return len(bytes.TrimSpace(v.raw[1:len(v.raw)-1])) == 0
	}
	return false
}
