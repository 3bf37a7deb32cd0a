package compat_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/compat"
)

// post sends one body to a handler, as JSON from nobody.
func post(h http.Handler, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestParseOperationIsStrict(t *testing.T) {
	const login = `"operation":"create_authentication_tokens"`
	tests := []struct {
		name, body, problem string // an empty problem: accepted
	}{
		{"an object with an operation", `{` + login + `}`, ""},
		{"white space, a byte order mark and an escaped key", "\ufeff \n{\"oper\\u0061tion\" :\t\"user_info\"} ", ""},
		{"numbers of every form", `{` + login + `,"n":[0,-0,1.5,-2e9,3E+2,4e-1,1e999]}`, ""},
		{"half a surrogate pair", `{` + login + `,"username":"\ud800"}`, ""},
		{"equal keys in different objects", `{` + login + `,"a":{"x":1},"b":{"x":1},"c":[{"x":1},{"x":1}]}`, ""},
		{"a key that differs in letter case", `{` + login + `,"Operation":"drop_user"}`, ""},
		{"constructor without a prototype", `{` + login + `,"constructor":{"x":1}}`, ""},

		{"the operation under another letter case", `{"Operation":"user_info"}`, "Request body must include an 'operation' property."},
		{"an operation that is null", `{"operation":null}`, "Request body must include an 'operation' property."},
		{"a key twice", `{` + login + `,` + login + `}`, "Duplicate property name in JSON at position 55"},
		{"a key twice, once escaped", `{"a":1,"\u0061":2,` + login + `}`, "Duplicate property name in JSON at position 15"},
		{"a key twice deep within", `{` + login + `,"a":[{"b":{"c":1,"c":1}}]}`, "Duplicate property name in JSON at position 64"},
		{"a key twice among many", `{` + login + `,` + manyKeys(100) + `,"k7":1}`, "Duplicate property name in JSON at position 847"},
		{"a prototype", `{` + login + `,"a":{"__proto__":1}}`, "Object contains forbidden prototype property"},
		{"a constructor's prototype", `{` + login + `,"constructor":{"prototype":1}}`, "Object contains forbidden prototype property"},
		{"bytes that are not UTF-8", "{\"operation\":\"\xff\"}", "Request body size did not match Content-Length"},
		{"a surrogate in UTF-8", "{\"operation\":\"\xed\xa0\x80\"}", "Request body size did not match Content-Length"},
		{"nothing", "", "Unexpected end of JSON input"},
		{"half an object", `{"operation":"a"`, "Unexpected end of JSON input"},
		{"half a key", `{"oper`, "Unexpected end of JSON input"},
		{"half a word", `{"operation":tru`, "Unexpected end of JSON input"},
		{"half a number", `{"operation":-`, "Unexpected end of JSON input"},
		{"half an escape", `{"operation":"\u00`, "Unexpected end of JSON input"},
		{"a wrong escape", `{"operation":"\x"}`, "Unexpected token in JSON at position 15"},
		{"a leading zero", `{"operation":01}`, "Unexpected token in JSON at position 14"},
		{"a leading plus", `{"operation":+1}`, "Unexpected token in JSON at position 13"},
		{"a point without digits", `{"operation":1.}`, "Unexpected token in JSON at position 15"},
		{"another word", `{"operation":NaN}`, "Unexpected token in JSON at position 13"},
		{"brackets that do not match", `{"operation":[1}`, "Unexpected token in JSON at position 15"},
		{"a key without value", `{"operation"}`, "Unexpected token in JSON at position 12"},
		{"two objects", `{"operation":"a"}{}`, "Unexpected token in JSON at position 17"},
		{"a line break in a text", "{\"operation\":\"a\nb\"}", "Bad control character in string literal in JSON at position 15"},
		{"null", `null`, "Cannot read properties of null (reading 'operation')"},
		{"an empty object", `{ }`, "Request body must include an 'operation' property."},
		{"a list of operations", `[{"operation":"user_info"}]`, "Request body must include an 'operation' property."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o, err := compat.ParseOperation([]byte(test.body))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != test.problem {
				t.Fatalf("got %q, want %q", got, test.problem)
			}
			if err == nil && !json.Valid(o.Encode()) {
				t.Errorf("encodes as %s", o.Encode())
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"k` + string(rune('0'+i/10%10)) + string(rune('0'+i%10)) + `":1`)
	}
	return strings.Replace(b.String(), `"k07"`, `"k7"`, 1)
}

func TestHostileBodiesAreRefusedInTime(t *testing.T) {
	open, end := `{"operation":"user_info","x":`, `}`
	tests := []struct {
		name, body string
		status     int
	}{
		{"a million levels of arrays", open + strings.Repeat("[", 1e6) + strings.Repeat("]", 1e6) + end, 413},
		{"as many levels as fit", open + strings.Repeat("[", 5e5) + strings.Repeat("]", 5e5) + end, 400},
		{"a million levels that are never closed", open + strings.Repeat("[", 1e6), 400},
		{"many levels of objects", open + strings.Repeat(`{"a":`, 2e5), 400},
		{"a text of 1 MiB", open + `"` + strings.Repeat("a", 1<<20) + `"` + end, 413},
		{"a text of nearly 1 MiB", open + `"` + strings.Repeat("a", 1<<20-100) + `"` + end, 401},
		{"many keys and one of them twice", open + "{" + manyKeys(100) + `,"k33":1}` + end, 400},
		{"bytes that are not UTF-8, at the end", open + `"` + strings.Repeat("a", 1<<19) + "\xff" + `"` + end, 400},
	}
	h := newDirectory(t).handler(t, nil)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var w *httptest.ResponseRecorder
			took := time.Hour
			for range 5 { // the quickest: other tests share the machine
				start := time.Now()
				w = post(h, test.body)
				took = min(took, time.Since(start))
			}
			var body struct{ Error string }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != test.status || body.Error == "" {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			if took > 50*time.Millisecond && !raceDetector {
				t.Errorf("took %v", took)
			}
			t.Logf("took %v", took)
		})
	}
}

func TestEncodeKeepsMembers(t *testing.T) {
	o, err := compat.ParseOperation([]byte(`{ "z" : 1.50 , "operation":"x", "ä\n":[ 1, {"b":"\u0041"} ] }`))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"z":1.50,"operation":"x","ä\n":[ 1, {"b":"\u0041"} ]}`
	if diff := cmp.Diff(want, string(o.Encode())); diff != "" {
		t.Errorf("encoded (-want +got):\n%s", diff)
	}
}

// FuzzParseOperation: no input breaks the parser, what it accepts is JSON, and reading what was written changes nothing.
func FuzzParseOperation(f *testing.F) {
	for _, c := range seedBodies(f) {
		f.Add([]byte(c))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := compat.ParseOperation(body)
		if err != nil {
			return
		}
		if trimmed := strings.TrimPrefix(string(body), "\ufeff"); !json.Valid([]byte(trimmed)) && strings.Count(trimmed, "[")+strings.Count(trimmed, "{") < 10000 {
			t.Fatalf("accepted what is not JSON: %q", body)
		}
		once := o.Encode()
		again, err := compat.ParseOperation(once)
		if err != nil {
			t.Fatalf("%q is accepted, and %q is not: %v", body, once, err)
		}
		if string(again.Encode()) != string(once) || again.Name() != o.Name() {
			t.Fatalf("%q became %q", once, again.Encode())
		}
	})
}

// seedBodies are the bodies of all conversations and recorded exchanges.
func seedBodies(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		tb.Fatal(err)
	}
	var seeds []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		_, body, _ := strings.Cut(parseConversation(string(data)).request, "\n\n")
		seeds = append(seeds, body)
	}
	for _, c := range recorded(tb) {
		if c.Body != nil && len(*c.Body) < 1000 {
			seeds = append(seeds, *c.Body)
		}
	}
	return seeds
}

// FuzzRender: whatever a token endpoint answers, the client gets JSON, never a success without a token, and never the
// password that it sent.
func FuzzRender(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		_, body, _ := strings.Cut(parseConversation(string(data)).token, "\n\n")
		f.Add(200, body)
		f.Add(400, body)
	}
	const secret = "Tr0ub4dor&3"
	f.Fuzz(func(t *testing.T, status int, answer string) {
		if status < 200 || status > 599 || strings.Contains(answer, secret) {
			return
		}
		h, err := compat.New(compat.Config{Token: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(answer))
		})})
		if err != nil {
			t.Fatal(err)
		}
		w := post(h, `{"operation":"create_authentication_tokens","username":"alice","password":"`+secret+`"}`)
		var body map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
		if token, _ := body["operation_token"].(string); (w.Code == 200) != (token != "") {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if status >= 500 && w.Code != http.StatusServiceUnavailable {
			t.Fatalf("%d became %d", status, w.Code)
		}
		if strings.Contains(w.Body.String(), secret) {
			t.Fatalf("the password comes back: %s", w.Body)
		}
	})
}
