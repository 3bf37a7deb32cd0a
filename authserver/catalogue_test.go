package authserver_test

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/storage"
)

// catalogueRow is one test of a third-party catalogue, done again here on a real server.
type catalogueRow struct {
	name string // in the catalogue
	// run does what that test does. An error says why it does not pass.
	run func(c *catalogue) error
	// fails is the error of a test that does not pass, and reason says why that stays so, in a sentence for SECURITY.md. A test
	// that passes has neither.
	fails, reason string
}

// catalogue is the server with the clients that the rows use.
type catalogue struct {
	*testServer
	issuer string
	// main is a confidential client, second another one; keyed authenticates by private_key_jwt.
	main, second credential
	keyed        signer
	clock        *clock
}

// credential is a client with a secret that was generated.
type credential struct{ id, secret string }

// header is the Authorization header of the client.
func (c credential) header() string { return basic(c.id, c.secret) }

// runCatalogue runs the rows one after another. Each must end as the table says, so that a change of behaviour is noticed.
func runCatalogue(t *testing.T, c *catalogue, rows []catalogueRow, count int) {
	t.Helper()
	seen := map[string]bool{}
	for _, row := range rows {
		if seen[row.name] {
			t.Errorf("%s is in the table twice", row.name)
		}
		seen[row.name] = true
		t.Run(row.name, func(t *testing.T) {
			server := *c.testServer
			server.t = t
			own := *c
			own.testServer = &server
			err := row.run(&own)
			switch {
			case row.fails == "" && err != nil:
				t.Errorf("does not pass: %v", err)
			case row.fails != "" && (err == nil || err.Error() != row.fails):
				t.Errorf("got %v, but the table says: %s", err, row.fails)
			case (row.fails == "") != (row.reason == ""):
				t.Error("a test that fails has a reason, and no other has one")
			}
		})
	}
	if len(rows) != count {
		t.Errorf("%d rows, want %d", len(rows), count)
	}
}

// What does not pass in a catalogue is an exception, and SECURITY.md names every exception.
func TestCatalogueExceptionsAreInSECURITY(t *testing.T) {
	raw, err := os.ReadFile("../SECURITY.md")
	check(t, err)
	text := strings.Join(strings.Fields(string(raw)), " ")
	if !strings.Contains(text, "OAuch") {
		t.Skip("SECURITY.md does not speak of the catalogues yet")
	}
	for _, row := range slices.Concat(oauchRows, openIDRows) {
		if !strings.Contains(text, row.reason) {
			t.Errorf("%s: SECURITY.md does not say %q", row.name, row.reason)
		}
	}
}

// addClient registers a confidential client with a generated secret.
func (ts *testServer) addClient(client storage.Client) credential {
	ts.t.Helper()
	secret := authserver.NewSecret()
	hash, err := authserver.Secrets{}.Hash(ts.t.Context(), []byte(secret))
	check(ts.t, err)
	client.Secrets = []string{string(hash)}
	check(ts.t, ts.store.PutClient(ts.t.Context(), &client))
	return credential{client.ID, secret}
}

// form posts pairs of names and values to an endpoint.
func (ts *testServer) form(path, authorization string, pairs ...string) reply {
	ts.t.Helper()
	return ts.raw(http.MethodPost, path, formOf(pairs...).Encode(), "Authorization", authorization)
}

func formOf(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return values
}

// passwordGrant are the parameters of alice's login.
func passwordGrant(more ...string) []string {
	return append([]string{"grant_type", "password", "username", "alice", "password", "wonder land"}, more...)
}

func refreshGrant(token string, more ...string) []string {
	return append([]string{"grant_type", "refresh_token", "refresh_token", token}, more...)
}

func issued(r reply) error {
	if r.status != http.StatusOK || r.text("access_token") == "" {
		return fmt.Errorf("no token was issued: %d %s", r.status, r.raw)
	}
	return nil
}

func notIssued(r reply) error {
	if r.status == http.StatusOK || r.text("access_token") != "" {
		return errors.New("a token was issued")
	}
	return nil
}

// firstError returns the first error, for a test of several steps.
func firstError(steps ...error) error {
	for _, err := range steps {
		if err != nil {
			return err
		}
	}
	return nil
}

// must is an error unless something holds.
func must(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// entropy estimates the bits of a text from how often each character is in it (Shannon), as OAuch does.
func entropy(text string) float64 {
	count := map[rune]float64{}
	for _, c := range text {
		count[c]++
	}
	bits := 0.0
	for _, n := range count {
		bits -= n * math.Log2(n/float64(len(text)))
	}
	return bits
}
