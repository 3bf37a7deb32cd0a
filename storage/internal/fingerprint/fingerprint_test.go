package fingerprint

import "testing"

func TestFingerprintsTellListsAndKeysApart(t *testing.T) {
	one, other := NewKey(), NewKey()
	same := one.Of("a", "b", "c")
	if one.Of("a", "b", "c") != same {
		t.Error("the same list has two fingerprints")
	}
	for _, list := range [][]string{{"a", "b", "d"}, {"a", "bc"}, {"ab", "c"}, {"a", "b", "c", ""}, {"abc"}, {"b", "a", "c"}, nil} {
		if one.Of(list...) == same {
			t.Errorf("%q has the fingerprint of another list", list)
		}
	}
	if other.Of("a", "b", "c") == same {
		t.Error("two keys make the same fingerprint")
	}
}
