package authserver_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// forgeries returns tokens that the server must refuse, by the way in which they are forged. They are made from a valid token
// of each kind; jku is a URL that tokens name.
func forgeries(t *testing.T, ts *testServer, standard, legacy, es string, jku string) map[string]string {
	t.Helper()
	attacker, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	rs, err := ts.keys.Signer("RS256")
	check(t, err)
	ec, err := ts.keys.Signer("ES256")
	check(t, err)
	list := map[string]string{}
	for kind, token := range map[string]string{"standard": standard, "legacy": legacy} {
		parts := strings.Split(token, ".")
		claims := claimsOf(t, token)
		typ := map[string]string{"standard": "at+jwt", "legacy": "JWT"}[kind]
		header := func(more map[string]any) map[string]any {
			h := map[string]any{"alg": "RS256", "kid": rs.ID, "typ": typ}
			maps.Copy(h, more)
			return h
		}
		add := func(name, token string) { list[kind+": "+name] = token }

		for _, alg := range []any{"none", "None", "NONE", "nOnE", "", nil, []string{"RS256"}, 0, true, "RS256 ", "rs256"} {
			add(fmt.Sprintf("alg %v, no signature", alg), forge(t, header(map[string]any{"alg": alg}), claims, nil, nil))
			add(fmt.Sprintf("alg %v, signature of the valid token", alg), segment(t, header(map[string]any{"alg": alg}))+"."+parts[1]+"."+parts[2])
		}
		withoutAlg := header(nil)
		delete(withoutAlg, "alg")
		add("no alg", forge(t, withoutAlg, claims, nil, nil))

		for name, key := range publicForms(t, rs.Public, rs.ID, ts) {
			for _, m := range []*jwt.SigningMethodHMAC{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512} {
				add(m.Name+" with "+name, forge(t, header(map[string]any{"alg": m.Name}), claims, m, key))
				add("RS256 by "+m.Name+" with "+name, forge(t, header(nil), claims, m, key))
			}
		}
		for _, m := range []jwt.SigningMethod{jwt.SigningMethodRS384, jwt.SigningMethodRS512, jwt.SigningMethodPS256, jwt.SigningMethodPS512} {
			add("our own key, "+m.Alg(), forge(t, header(map[string]any{"alg": m.Alg()}), claims, m, rs.Private))
		}
		add("RS256 key named for ES256", forge(t, header(map[string]any{"alg": "ES256", "kid": rs.ID}), claims, jwt.SigningMethodES256, ec.Private))
		add("ES256 key named for RS256", forge(t, header(map[string]any{"kid": ec.ID}), claims, jwt.SigningMethodRS256, rs.Private))
		add("critical header", forge(t, header(map[string]any{"crit": []string{"exp"}}), claims, jwt.SigningMethodRS256, rs.Private))
		add("empty critical header", forge(t, header(map[string]any{"crit": []string{}}), claims, jwt.SigningMethodRS256, rs.Private))
		add("payload not encoded", forge(t, header(map[string]any{"b64": false, "crit": []string{"b64"}}), claims, jwt.SigningMethodRS256, rs.Private))
		add("payload said not to be encoded", forge(t, header(map[string]any{"b64": false}), claims, jwt.SigningMethodRS256, rs.Private))

		theirs := jose.JSONWebKey{Key: attacker.Public(), KeyID: "evil", Algorithm: "RS256", Use: "sig"}
		for name, more := range map[string]map[string]any{
			"another key":               {},
			"embedded jwk":              {"jwk": theirs},
			"embedded jwk, its kid":     {"jwk": theirs, "kid": "evil"},
			"embedded jwk, no kid":      {"jwk": theirs, "kid": nil},
			"jku":                       {"jku": jku, "kid": "evil"},
			"x5u":                       {"x5u": jku, "kid": "evil"},
			"x5c":                       {"x5c": []string{base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&attacker.PublicKey))}, "kid": "evil"},
			"compressed":                {"zip": "DEF"},
			"nested":                    {"cty": "JWT"},
			"kid of the wrong type":     {"kid": []string{rs.ID}},
			"kid a number":              {"kid": 1},
			"kid an object":             {"kid": map[string]any{"kid": rs.ID}},
			"kid null":                  {"kid": nil},
			"kid empty":                 {"kid": ""},
			"kid with our own and more": {"kid": rs.ID + "\x00"},
		} {
			add(name, forge(t, header(more), claims, jwt.SigningMethodRS256, attacker))
		}
		for _, kid := range []string{
			"../../../../dev/null", "/dev/null", "..%2f..%2fdev%2fnull", "/etc/passwd", "file:///dev/null", `..\..\nul`, "\x00", "key\x00.pem",
			"' OR '1'='1", "x' UNION SELECT 'AA", "*", "opgrant:*", "opgrant:keys", "{x}", "k\r\nFLUSHALL\r\n", "|sleep 5", "${jndi:ldap://x}", strings.Repeat("k", 10<<10)[:5<<10],
		} {
			name := fmt.Sprintf("kid %.20q", kid)
			add(name+" by another key", forge(t, header(map[string]any{"kid": kid}), claims, jwt.SigningMethodRS256, attacker))
			for secret, key := range map[string][]byte{"nothing": {}, "AA": []byte("AA"), "a null": {0}} {
				add(name+" by HS256 with "+secret, forge(t, header(map[string]any{"alg": "HS256", "kid": kid}), claims, jwt.SigningMethodHS256, key))
			}
		}

		for _, name := range slices.Sorted(maps.Keys(respellings(token))) {
			add(name, respellings(token)[name])
		}
		claims["sub"] = "root"
		add("another subject", parts[0]+"."+segment(t, claims)+"."+parts[2])
	}
	for name, token := range respellings(es) {
		list["ES256: "+name] = token
	}
	for name, token := range es256Variants(t, es) {
		list["ES256: "+name] = token
	}
	return list
}

// publicForms returns the encodings of a public key that a confused server may take for the secret of an HMAC.
func publicForms(t *testing.T, public crypto.PublicKey, kid string, ts *testServer) map[string][]byte {
	t.Helper()
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		t.Fatalf("%T", public)
	}
	pkix, err := x509.MarshalPKIXPublicKey(public)
	check(t, err)
	pkcs1 := x509.MarshalPKCS1PublicKey(key)
	jwk, err := json.Marshal(jose.JSONWebKey{Key: public, KeyID: kid, Algorithm: "RS256", Use: "sig"})
	check(t, err)
	armour := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix})
	return map[string][]byte{
		"PEM":                    armour,
		"PEM without line end":   []byte(strings.TrimSpace(string(armour))),
		"PEM with CRLF":          []byte(strings.ReplaceAll(string(armour), "\n", "\r\n")),
		"PEM of PKCS #1":         pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1}),
		"DER":                    pkix,
		"DER of PKCS #1":         pkcs1,
		"DER in base64":          []byte(base64.StdEncoding.EncodeToString(pkix)),
		"JWK":                    jwk,
		"JWKS":                   []byte(ts.raw(http.MethodGet, "/.well-known/jwks.json", "").raw),
		"modulus":                key.N.Bytes(),
		"modulus in base64url":   []byte(base64.RawURLEncoding.EncodeToString(key.N.Bytes())),
		"modulus in hexadecimal": []byte(key.N.Text(16)),
		"kid":                    []byte(kid),
		"nothing":                {},
	}
}

// respellings returns other strings that a lax decoder takes for the same token.
func respellings(token string) map[string]string {
	parts := strings.Split(token, ".")
	last := token[len(token)-1]
	list := map[string]string{
		"padded": token + "=", "padded twice": token + "==", "line end": token + "\n", "line end of Windows": token + "\r\n",
		"line end inside": token[:len(token)-8] + "\r\n" + token[len(token)-8:], "space before": " " + token, "space behind": token + " ",
		"line end in the header": token[:4] + "\n" + token[4:], "standard base64": "", "Bearer": "Bearer " + token,
		"upper case": strings.ToUpper(token), "no signature": parts[0] + "." + parts[1] + ".", "two parts": parts[0] + "." + parts[1],
		"four parts": token + ".", "five parts": token + ".." + parts[2], "first part empty": "." + parts[1] + "." + parts[2],
		"payload empty": parts[0] + ".." + parts[2], "JSON": `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"JWE": parts[0] + "..AAAA." + parts[1] + "." + parts[2], "dots": strings.Repeat(".", 7<<10), "signature cut": token[:len(token)-4], "signature longer": token + "AAAA",
		"leading zero": parts[0] + "." + parts[1] + ".AA" + parts[2],
	}
	delete(list, "standard base64")
	if s := strings.NewReplacer("-", "+", "_", "/").Replace(parts[2]); s != parts[2] {
		list["standard base64"] = parts[0] + "." + parts[1] + "." + s
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for _, c := range alphabet {
		if byte(c) != last {
			list["last character "+string(c)] = token[:len(token)-1] + string(c)
		}
	}
	return list
}

// es256Variants returns the token with other signatures that are mathematically the same, or malformed.
func es256Variants(t *testing.T, token string) map[string]string {
	t.Helper()
	input := token[:strings.LastIndex(token, ".")]
	signature, err := base64.RawURLEncoding.DecodeString(token[len(input)+1:])
	check(t, err)
	n := elliptic.P256().Params().N
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	pair := func(r, s *big.Int) string {
		raw := make([]byte, 64)
		r.FillBytes(raw[:32])
		s.FillBytes(raw[32:])
		return input + "." + base64.RawURLEncoding.EncodeToString(raw)
	}
	zero := new(big.Int)
	der := append([]byte{0x30, 0x44, 0x02, 0x20}, append(append(slices.Clone(signature[:32]), 0x02, 0x20), signature[32:]...)...)
	return map[string]string{
		"the twin, s → n-s": pair(r, new(big.Int).Sub(n, s)),
		"r and s zero":      pair(zero, zero), "r zero": pair(zero, s), "s zero": pair(r, zero),
		"r = n": pair(n, s), "s = n": pair(r, n), "r and s = n": pair(n, n),
		"s + n":     pair(r, new(big.Int).Mod(new(big.Int).Add(s, n), new(big.Int).Lsh(big.NewInt(1), 256))),
		"DER":       input + "." + base64.RawURLEncoding.EncodeToString(der),
		"r only":    input + "." + base64.RawURLEncoding.EncodeToString(signature[:32]),
		"no bytes":  input + ".",
		"all zeros": input + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
	}
}

// listening returns a URL and counts connections to it: the server must not fetch what a token names.
func listening(t *testing.T) (url string, connections *atomic.Int64) {
	t.Helper()
	connections = &atomic.Int64{}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL + "/jwks.json", connections
}
