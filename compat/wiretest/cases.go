package wiretest

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Case is one recorded exchange.
type Case struct {
	Name     string            `json:"name"`
	Sequence int               `json:"sequence"`
	Group    string            `json:"group"`
	Method   string            `json:"method"`
	Path     string            `json:"path"`
	Headers  map[string]string `json:"headers"`
	Body     *string           `json:"body"`
	// BodyBase64 and BodyGen are bodies that JSON cannot hold or that are large.
	BodyBase64 string     `json:"body_base64"`
	BodyGen    *Generated `json:"body_gen"`
	// Truncated means that the recorded answer was cut off.
	Truncated bool              `json:"body_truncated"`
	Capture   map[string]string `json:"capture"` // :: variable → member of the answer
	Before    []Step            `json:"before"`
	Expect    Expect            `json:"expect"`
}

// Generated is a body with a repeated part.
type Generated struct {
	Prefix string `json:"prefix"`
	Open   string `json:"repeat_open"`
	Close  string `json:"repeat_close"`
	N      int    `json:"n"`
	Suffix string `json:"suffix"`
}

// Step is a wait or a new value of a variable before an exchange.
type Step struct {
	Sleep  float64 `json:"sleep_s"`
	Var    string  `json:"var"`
	Derive string  `json:"derive"`
	From   string  `json:"from"`
}

// Expect is the recorded answer.
type Expect struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	JWT     map[string]JWT    `json:"jwt"` // :: member of the answer → token
}

// JWT is the content of a token. In a recording, the claim `exp` is a string such as iat+86400.
type JWT struct {
	Header map[string]any `json:"header"`
	Claims map[string]any `json:"claims"`
}

// LoadFile is Load for a test that cannot go on without the file.
func LoadFile(tb testing.TB, path string) []Case {
	tb.Helper()
	f, err := os.Open(filepath.FromSlash(path)) // #nosec G304 -- the test names the file
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	cases, err := Load(f)
	if err != nil {
		tb.Fatal(err)
	}
	return cases
}

// Load reads recorded exchanges.
func Load(r io.Reader) ([]Case, error) {
	var cases []Case
	if err := json.NewDecoder(r).Decode(&cases); err != nil {
		return nil, fmt.Errorf("wiretest: load cases: %w", err)
	}
	return cases, nil
}
