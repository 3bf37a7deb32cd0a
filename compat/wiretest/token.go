package wiretest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// decode returns the header and claims of a token. It does not verify the signature.
func decode(token string) (JWT, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return JWT{}, fmt.Errorf("wiretest: token of %d parts", len(parts))
	}
	var t JWT
	for i, into := range []*map[string]any{&t.Header, &t.Claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return JWT{}, fmt.Errorf("wiretest: part %d of token: %w", i, err)
		}
		if err := json.Unmarshal(raw, into); err != nil {
			return JWT{}, fmt.Errorf("wiretest: part %d of token: %w", i, err)
		}
	}
	return t, nil
}

// tamper changes a token in one of the recorded ways, so that it is not valid any more.
func tamper(token, how string, publicKey []byte) (string, error) {
	t, err := decode(token)
	if err != nil {
		return "", err
	}
	parts := strings.Split(token, ".")
	head, payload, signature := parts[0], parts[1], parts[2]
	switch how {
	case "sig":
		end := "AAAAAA"
		if strings.HasSuffix(signature, end) {
			end = "BBBBBB"
		}
		return head + "." + payload + "." + signature[:len(signature)-6] + end, nil
	case "payload":
		t.Claims["username"] = "HDB_ADMIN"
		return head + "." + encodePart(t.Claims) + "." + signature, nil
	case "none":
		return encodePart(map[string]any{"alg": "none", "typ": "JWT"}) + "." + payload + ".", nil
	case "none_upper":
		return encodePart(map[string]any{"alg": "NONE", "typ": "JWT"}) + "." + payload + ".", nil
	case "nosig":
		return head + "." + payload + ".", nil
	case "two":
		return head + "." + payload, nil
	case "hs256":
		signed := encodePart(map[string]any{"alg": "HS256", "typ": "JWT"}) + "." + payload
		mac := hmac.New(sha256.New, publicKey)
		mac.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
	}
	return "", fmt.Errorf("wiretest: unknown way %q to tamper", how)
}

// encodePart encodes the header or the claims of a token.
func encodePart(v map[string]any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("wiretest: encode token: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(b)
}
