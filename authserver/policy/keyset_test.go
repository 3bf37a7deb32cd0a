package policy_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"strings"
	"testing"

	"github.com/opgrant/opgrant/authserver/policy"
)

// ecKey is the public key of RFC 7517, appendix A.1.
const ecKey = `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`

// A key set that could never verify an assertion is refused when the client is registered.
func TestProblemsOfAKeySet(t *testing.T) {
	rsaKey := func(bits int) string {
		n := new(big.Int).SetBit(new(big.Int).Lsh(big.NewInt(1), uint(bits-1)), 0, 1)
		return `{"kty":"RSA","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString(n.Bytes()) + `"}`
	}
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edKey := `{"kty":"OKP","crv":"Ed25519","x":"` + base64.RawURLEncoding.EncodeToString(public) + `"}`
	// with adds members to a key, or replaces them.
	with := func(key, members string) string {
		merged := map[string]any{}
		for _, object := range []string{key, members} {
			var m map[string]any
			if err := json.Unmarshal([]byte(object), &m); err != nil {
				t.Fatal(err)
			}
			maps.Copy(merged, m)
		}
		out, _ := json.Marshal(merged)
		return string(out)
	}
	for name, row := range map[string]struct{ keys, problem string }{
		"EC":                       {ecKey, ""},
		"EC for ES256":             {with(ecKey, `{"alg":"ES256","use":"sig","kid":"a"}`), ""},
		"RSA":                      {rsaKey(2048), ""},
		"RSA for PS256":            {with(rsaKey(3072), `{"alg":"PS256"}`), ""},
		"Ed25519":                  {edKey, ""},
		"Ed25519 for EdDSA":        {with(edKey, `{"alg":"EdDSA"}`), ""},
		"three with names":         {with(ecKey, `{"kid":"a"}`) + "," + with(rsaKey(2048), `{"kid":"b"}`) + "," + with(edKey, `{"kid":"c"}`), ""},
		"two without names":        {ecKey + "," + edKey, ""},
		"an unknown member":        {with(ecKey, `{"exp":1}`), ""},
		"none":                     {"", "has no keys"},
		"one name twice":           {with(ecKey, `{"kid":"a"}`) + "," + with(edKey, `{"kid":"a"}`), "key 2 has the kid of another one"},
		"RSA of 1024 bits":         {rsaKey(1024), "key 1 has 1024 bits, not between 2048 and 8192"},
		"RSA of 2047 bits":         {rsaKey(2047), "key 1 has 2047 bits, not between 2048 and 8192"},
		"RSA of 16384 bits":        {rsaKey(16384), "key 1 has 16384 bits, not between 2048 and 8192"},
		"RSA with leading zeros":   {`{"kty":"RSA","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString(append(make([]byte, 128), 1)) + strings.Repeat("A", 200) + `"}`, "key 1 has"},
		"RSA with the exponent 1":  {with(rsaKey(2048), `{"e":"AQ"}`), "key 1 has no RSA modulus and exponent"},
		"RSA without a modulus":    {`{"kty":"RSA","e":"AQAB"}`, "key 1 has no RSA modulus and exponent"},
		"RSA for ES256":            {with(rsaKey(2048), `{"alg":"ES256"}`), `key 1 has the alg "ES256", which is not one of RS256, PS256`},
		"RSA for RSA-OAEP":         {with(rsaKey(2048), `{"alg":"RSA-OAEP"}`), `key 1 has the alg "RSA-OAEP"`},
		"another curve":            {with(ecKey, `{"crv":"P-384"}`), `key 1 has the curve "P-384"`},
		"secp256k1":                {with(ecKey, `{"crv":"secp256k1"}`), `key 1 has the curve "secp256k1"`},
		"a point off the curve":    {with(ecKey, `{"y":"AAAl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`), "key 1 is not a point of P-256"},
		"half a point":             {with(ecKey, `{"y":""}`), "key 1 is not a point of P-256"},
		"X25519":                   {with(edKey, `{"crv":"X25519"}`), `key 1 has the curve "X25519"`},
		"Ed25519 cut short":        {with(edKey, `{"x":"AAAA"}`), "key 1 is not an Ed25519 key"},
		"a symmetric key":          {`{"kty":"oct","k":"AAAA"}`, `key 1 has the member "k" of a private key`},
		"a symmetric key, no k":    {`{"kty":"oct"}`, `key 1 has the kty "oct"`},
		"a private EC key":         {with(ecKey, `{"d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}`), `key 1 has the member "d" of a private key`},
		"a private RSA key":        {with(rsaKey(2048), `{"d":"AAAA","p":"AAAA"}`), `key 1 has the member "d" of a private key`},
		"a key for encryption":     {with(ecKey, `{"use":"enc"}`), `key 1 is not for signatures`},
		"no type":                  {`{}`, `key 1 has the kty ""`},
		"a key that is a string":   {`"x"`, "key 1 is not a JSON Web Key"},
		"a key that is null":       {`null`, `key 1 has the kty ""`},
		"a name that is a number":  {`{"kty":"EC","kid":1}`, "key 1 is not a JSON Web Key"},
		"the second of two is bad": {ecKey + "," + rsaKey(512), "key 2 has 512 bits"},
	} {
		c := policy.Client{ID: "app", KeySet: []byte(`{"keys":[` + row.keys + `]}`), Grants: []string{policy.GrantClientCredentials}}
		problems := c.Problems()
		switch {
		case row.problem == "" && len(problems) > 0:
			t.Errorf("%s: %v", name, problems)
		case row.problem != "" && (len(problems) != 1 || problems[0].Key != "jwks" || !strings.HasPrefix(problems[0].Text, row.problem)):
			t.Errorf("%s: %v, want one problem: %s", name, problems, row.problem)
		}
	}
	for _, set := range []string{"{", "[]", `"x"`, `{"keys":{}}`, "null", `{"kty":"EC"}`} {
		if err := (policy.Client{ID: "app", KeySet: []byte(set), Grants: []string{policy.GrantClientCredentials}}).Validate(); err == nil {
			t.Errorf("%s is accepted", set)
		}
	}
}

// Keys as Go makes them are accepted, whatever their leading bytes are.
func TestGeneratedKeysHaveNoProblem(t *testing.T) {
	encode := base64.RawURLEncoding.EncodeToString
	for range 300 {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		point, err := private.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		set := `{"keys":[{"kty":"EC","crv":"P-256","x":"` + encode(point[1:33]) + `","y":"` + encode(point[33:]) + `"}]}`
		if err := (policy.Client{ID: "app", KeySet: []byte(set), Grants: []string{policy.GrantClientCredentials}}).Validate(); err != nil {
			t.Fatalf("%s: %v", set, err)
		}
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set := `{"keys":[{"kty":"RSA","n":"` + encode(private.N.Bytes()) + `","e":"` + encode(big.NewInt(int64(private.E)).Bytes()) + `"}]}`
	if err := (policy.Client{ID: "app", KeySet: []byte(set), Grants: []string{policy.GrantClientCredentials}}).Validate(); err != nil {
		t.Fatal(err)
	}
}
