package compat

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// tokenClaims are the claims of an operation token that are read here.
type tokenClaims struct {
	username  string
	superUser bool
}

// readClaims reads a token that comes from its issuer, whose signature therefore need not be checked. In the tokens of old
// servers the claim `username` is the whole user record.
func readClaims(token string) (tokenClaims, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return tokenClaims{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return tokenClaims{}, false
	}
	var c struct {
		Username  json.RawMessage `json:"username"`
		SuperUser bool            `json:"super_user"`
	}
	if json.Unmarshal(payload, &c) != nil {
		return tokenClaims{}, false
	}
	var name string
	if json.Unmarshal(c.Username, &name) == nil {
		return tokenClaims{name, c.SuperUser}, true
	}
	var record struct {
		Username string `json:"username"`
	}
	ok := json.Unmarshal(c.Username, &record) == nil && record.Username != ""
	return tokenClaims{record.Username, c.SuperUser}, ok
}
