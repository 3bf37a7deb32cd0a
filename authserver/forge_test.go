package authserver_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// forge makes a token of any header and claims, signed by any method and key, or not at all.
func forge(t *testing.T, header map[string]any, claims any, method jwt.SigningMethod, key any) string {
	t.Helper()
	return signInput(t, segment(t, header)+"."+segment(t, claims), method, key)
}

func signInput(t *testing.T, input string, method jwt.SigningMethod, key any) string {
	t.Helper()
	if method == nil {
		return input + "."
	}
	signature, err := method.Sign(input, key)
	check(t, err)
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func segment(t *testing.T, v any) string {
	t.Helper()
	raw, ok := v.(json.RawMessage)
	if !ok {
		var err error
		raw, err = json.Marshal(v)
		check(t, err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// segmentOf is a part of a token as text.
func segmentOf(t *testing.T, token string, part int) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[part])
	check(t, err)
	return string(raw)
}

func claimsOf(t *testing.T, token string) jwt.MapClaims {
	t.Helper()
	claims := jwt.MapClaims{}
	_, _, err := jwt.NewParser().ParseUnverified(token, claims)
	check(t, err)
	return claims
}
