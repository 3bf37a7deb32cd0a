package strictjson

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// manyKeys is the number of keys in one object from which duplicates are looked up in a map.
const manyKeys = 16

// keyOverhead is what a kept key costs beside its bytes, roughly.
const keyOverhead = 64

// endKey checks the key that has just been read.
func (s *scanner) endKey() error {
	s.state = beforeColon
	if !s.keep {
		return nil
	}
	if !utf8.Valid(s.text) {
		return ErrNotUTF8
	}
	key := Value{Raw: s.text}.Text()
	if key == "__proto__" || key == "prototype" && s.inConstructor() {
		return errPrototype
	}
	if slices.Contains(s.refused, key) {
		return RefusedKey(key)
	}
	s.keyBytes += len(s.text) + keyOverhead
	if s.duplicate(key) {
		return SyntaxError(fmt.Sprintf("Duplicate property name in JSON at position %d", s.pos+1))
	}
	s.open[len(s.open)-1].latestKey = key
	return nil
}

// duplicate tells whether the innermost object has the key already, and adds it.
func (s *scanner) duplicate(key string) bool {
	object := &s.open[len(s.open)-1]
	known := s.keys[object.firstKey:]
	if object.seen == nil && len(known) >= manyKeys {
		object.seen = make(map[string]struct{}, 2*len(known))
		for _, k := range known {
			object.seen[k] = struct{}{}
		}
	}
	if object.seen != nil {
		_, found := object.seen[key]
		object.seen[key] = struct{}{}
		return found
	}
	for _, k := range known {
		if k == key {
			return true
		}
	}
	s.keys = append(s.keys, key)
	return false
}

// inConstructor tells whether the innermost object is the value of a key "constructor".
func (s *scanner) inConstructor() bool {
	if len(s.open) < 2 {
		return false
	}
	outer := s.open[len(s.open)-2]
	return !outer.array && outer.latestKey == "constructor"
}
