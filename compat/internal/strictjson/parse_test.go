package strictjson_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/compat/internal/strictjson"
)

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestParse(t *testing.T) {
	for _, test := range slices.Concat(texts, wholeTexts) {
		t.Run(test.name, func(t *testing.T) {
			value, _, err := strictjson.Parse([]byte(test.text))
			if text(err) != test.problem {
				t.Fatalf("got %q, want %q", text(err), test.problem)
			}
			if err == nil && !json.Valid(value.Raw) {
				t.Errorf("accepted %s", value.Raw)
			}
		})
	}
}

func TestParseReturnsMembers(t *testing.T) {
	value, members, err := strictjson.Parse([]byte("\ufeff { \"z\" : 1.50 , \"operation\":\"x\",\"n\":12,\"t\":true, \"ä\\n\":[ 1, {\"b\":\"\\u0041\"} ] } "))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"z=1.50", `operation="x"`, "n=12", "t=true", "ä\n=[ 1, {\"b\":\"\\u0041\"} ]"}
	var got []string
	for _, m := range members {
		got = append(got, m.Key+"="+string(m.Value.Raw))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	if value.Raw[0] != '{' || value.Raw[len(value.Raw)-1] != '}' {
		t.Errorf("value %s", value.Raw)
	}
	if _, members, _ := strictjson.Parse([]byte(`[{"a":1}]`)); len(members) != 0 {
		t.Errorf("members of an array: %v", members)
	}
}

func TestValue(t *testing.T) {
	type properties struct {
		Kind   string
		Text   string
		Number float64
		Bool   bool
	}
	for raw, want := range map[string]properties{
		``:             {Kind: "absent"},
		`null`:         {Kind: "null"},
		`true`:         {Kind: "boolean", Bool: true},
		`false`:        {Kind: "boolean"},
		`-1.5e1`:       {Kind: "number", Number: -15},
		`"a"`:          {Kind: "string", Text: "a"},
		`"\u0061\n\""`: {Kind: "string", Text: "a\n\""},
		`[]`:           {Kind: "array"},
		`{}`:           {Kind: "object"},
	} {
		v := strictjson.Value{Raw: json.RawMessage(raw)}
		if diff := cmp.Diff(want, properties{v.Kind().String(), v.Text(), v.Number(), v.Bool()}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", raw, diff)
		}
	}
	if n := (strictjson.Value{Raw: json.RawMessage("1e999")}).Number(); n < 1e308 {
		t.Errorf("1e999 is %v", n)
	}
}

func BenchmarkParse(b *testing.B) {
	for name, body := range map[string][]byte{
		"login":         []byte(`{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`),
		"long string":   []byte(`{"x":"` + strings.Repeat("a", 1<<20) + `"}`),
		"deep":          []byte(`{"x":` + strings.Repeat("[", 60000) + strings.Repeat("]", 60000) + `}`),
		"small objects": []byte(`[` + strings.Repeat(`{"a":1,"b":2},`, 70000) + `{}]`),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, _, err := strictjson.Parse(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
