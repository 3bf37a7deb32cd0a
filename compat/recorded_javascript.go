package compat

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/opgrant/opgrant/compat/internal/strictjson"
)

// jsValue is a JSON value with the rules of JavaScript, by which the recorded server decides what a member means.
type jsValue struct{ strictjson.Value }

// nullish tells whether the value is absent or null.
func (v jsValue) nullish() bool { return v.Kind() <= strictjson.Null }

// truthy tells whether the value counts as true in a condition.
func (v jsValue) truthy() bool {
	switch v.Kind() {
	case strictjson.Boolean:
		return v.Bool()
	case strictjson.Number:
		return v.Number() != 0
	case strictjson.String:
		return len(v.Raw) > len(`""`)
	case strictjson.Array, strictjson.Object:
		return true
	}
	return false
}

// empty tells whether the value is nullish, an empty string or an empty array.
func (v jsValue) empty() bool {
	switch v.Kind() {
	case strictjson.Absent, strictjson.Null:
		return true
	case strictjson.String:
		return len(v.Raw) == len(`""`)
	case strictjson.Array:
		return len(bytes.TrimSpace(v.Raw[1:len(v.Raw)-1])) == 0
	}
	return false
}

// scalar converts the value to a string. The recorded server takes numbers and booleans where it expects a name or a password.
func (v jsValue) scalar() (text string, ok bool) {
	switch v.Kind() {
	case strictjson.String:
		return v.Text(), true
	case strictjson.Boolean:
		return string(v.Raw), true
	case strictjson.Number:
		f := v.Number()
		if a := math.Abs(f); a != 0 && (a >= 1e21 || a < 1e-6) {
			return strings.Replace(strconv.FormatFloat(f, 'e', -1, 64), "e-0", "e-", 1), true
		}
		return strconv.FormatFloat(f, 'f', -1, 64), true
	}
	return "", false
}
