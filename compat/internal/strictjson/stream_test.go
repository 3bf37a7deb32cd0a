package strictjson_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/opgrant/opgrant/compat/internal/strictjson"
)

// stream checks a text in pieces of n bytes and returns the error and the members in the first piece.
func stream(data []byte, n, keyLimit int) ([]strictjson.Member, error) {
	data = []byte(strings.TrimPrefix(string(data), "\ufeff"))
	n = min(n, len(data))
	s, members, err := strictjson.NewStream(data[:n], keyLimit)
	for data = data[n:]; err == nil && len(data) > 0; data = data[n:] {
		n = min(n, len(data))
		_, err = s.Write(data[:n])
	}
	return members, err
}

func TestStreamFindsWhatParseFinds(t *testing.T) {
	for _, test := range texts {
		for _, n := range []int{1, 2, 7, 1 << 20} {
			if _, err := stream([]byte(test.text), n, 1<<20); text(err) != test.problem {
				t.Errorf("%s, in pieces of %d bytes: got %q, want %q", test.name, n, text(err), test.problem)
			}
		}
	}
	for _, test := range wholeTexts {
		if _, err := stream([]byte(test.text), 1, 1<<20); err != nil {
			t.Errorf("%s: got %q, which a stream is not said to find", test.name, err)
		}
	}
}

func TestStreamChecksTopLevelKeysOnly(t *testing.T) {
	for body, want := range map[string]string{
		`{"a":{"x":1,"x":2},"b":1}`:                         "",
		`{"a":{"x":1,"x":2},"b":1,"\u0061":1}`:              "Duplicate property name in JSON at position 33",
		`{"a":1,"__proto__":1}`:                             "Object contains forbidden prototype property",
		`{"a":"` + "\xff" + `","b":1}`:                      "",
		`{"a":1,"b` + "\xff" + `":1}`:                       notUTF8,
		`{"a":[` + strings.Repeat(`{"a":1},`, 100) + `{}]}`: "",
	} {
		if _, err := stream([]byte(body), 5, 1<<20); text(err) != want {
			t.Errorf("%s: got %q, want %q", body, text(err), want)
		}
	}
}

func TestStreamBoundsMemory(t *testing.T) {
	for name, body := range map[string]string{
		"many keys":    `{` + manyKeys(100),
		"one long key": `{"` + strings.Repeat("a", 5000),
	} {
		if _, err := stream([]byte(body), 50, 4096); !errors.Is(err, strictjson.ErrTooManyKeys) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := stream([]byte(`{"a":{`+manyKeys(100)+`},"b":"`+strings.Repeat("b", 5000)), 50, 4096); err != nil {
		t.Errorf("inner keys and a long value: %v", err)
	}
}

func TestStreamReturnsMembersOfTheBeginning(t *testing.T) {
	members, err := stream([]byte(`{"operation":"insert","table":"dog","records":[1,2,3]}`), 40, 1<<20)
	if err != nil || len(members) != 2 || members[0].Key != "operation" || members[1].Value.Text() != "dog" {
		t.Errorf("%v, %v", members, err)
	}
}
