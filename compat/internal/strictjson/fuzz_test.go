package strictjson_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/compat/internal/strictjson"
)

// FuzzParse: what is accepted is JSON, and its members, written as an object, are read as the same members. A text that is
// accepted as a whole is accepted in pieces too.
func FuzzParse(f *testing.F) {
	for _, test := range slices.Concat(texts, wholeTexts) {
		if len(test.text) < 1000 {
			f.Add([]byte(test.text), 3)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		value, members, err := strictjson.Parse(data)
		if err != nil {
			return
		}
		trimmed := strings.TrimPrefix(string(data), "\ufeff")
		// encoding/json takes 10,000 levels.
		if !json.Valid([]byte(trimmed)) && strings.Count(trimmed, "[")+strings.Count(trimmed, "{") < 10000 {
			t.Fatalf("accepted what is not JSON: %q", data)
		}
		if n < 1 {
			n = 1
		}
		if _, err := stream(data, n, 1<<20); err != nil && !errors.Is(err, strictjson.ErrTooManyKeys) {
			t.Fatalf("%q is accepted, and in pieces of %d bytes it is not: %v", data, n, err)
		}
		if value.Kind() != strictjson.Object {
			return
		}
		var b strings.Builder
		for i, m := range members {
			key, _ := json.Marshal(m.Key)
			b.WriteString(map[bool]string{true: "{", false: ","}[i == 0] + string(key) + ":" + string(m.Value.Raw))
		}
		if len(members) == 0 {
			b.WriteString("{")
		}
		_, again, err := strictjson.Parse([]byte(b.String() + "}"))
		if err != nil {
			t.Fatalf("%q is accepted, and %q is not: %v", data, b.String()+"}", err)
		}
		if diff := cmp.Diff(members, again); diff != "" {
			t.Fatalf("%q (-members +read again):\n%s", data, diff)
		}
	})
}
