package wiretest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The kinds of tokens, as their claim sub names them.
const (
	oldOperation = "operation"
	oldRefresh   = "refresh"
)

// authenticate checks the Authorization header. It returns the name of the caller, the refresh token if that is what the header
// has, and the case of the answer that refuses the request.
func (s *OldServer) authenticate(r *http.Request) (caller, refresh, refusal string) {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch scheme {
	case "Basic":
		name, password, _ := r.BasicAuth()
		u, ok := s.user(name)
		switch {
		case !ok || u.Password != password:
			return "", "", oldBadBasic
		case !u.Active:
			return "", "", oldInactive
		}
		return name, "", ""
	case "Bearer":
		name, kind, ok := s.verify(value)
		if u, found := s.user(name); !ok || !found || !u.Active {
			return "", "", oldBadToken
		}
		if kind == oldRefresh {
			return "", value, ""
		}
		return name, "", ""
	}
	return "", "", ""
}

// create answers create_authentication_tokens. A later login replaces the refresh token of an earlier one.
func (s *OldServer) create(w http.ResponseWriter, c oldCall, caller string) {
	if c.Username == "" && c.Password == "" {
		if caller == "" {
			s.write(w, oldMustLogin, "")
			return
		}
		c.Username = caller
	} else if u, ok := s.user(c.Username); !ok || u.Password != c.Password || !u.Active {
		s.write(w, oldWrongPassword, "")
		return
	}
	operation, refresh := s.Sign(c.Username, oldOperation, 24*time.Hour), s.Sign(c.Username, oldRefresh, 30*24*time.Hour)
	s.mu.Lock()
	if at := s.find(c.Username); at >= 0 {
		s.users[at].refresh = saltedHash(strings.ToLower(rand.Text())[:16], refresh)
	}
	s.mu.Unlock()
	s.write(w, oldCreated, fmt.Sprintf(`{"operation_token":%q,"refresh_token":%q}`, operation, refresh))
}

// refresh answers refresh_operation_token. A token in the header is enough, one in the body needs a caller besides.
func (s *OldServer) refresh(w http.ResponseWriter, c oldCall, caller, token string) {
	if token == "" {
		switch {
		case caller == "":
			s.write(w, oldMustLogin, "")
			return
		case c.RefreshToken == "":
			s.write(w, oldNoToken, "")
			return
		}
		token = c.RefreshToken
	}
	name, kind, ok := s.verify(token)
	u, found := s.user(name)
	if !ok || kind != oldRefresh || !found || !u.Active || u.refresh == "" || saltedHash(u.refresh[:16], token) != u.refresh {
		s.write(w, oldBadToken, "")
		return
	}
	s.write(w, oldRefreshed, fmt.Sprintf(`{"operation_token":%q}`, s.Sign(name, oldOperation, 24*time.Hour)))
}

// Sign returns a token of a user.
func (s *OldServer) Sign(name, kind string, ttl time.Duration) string {
	u, _ := s.user(name)
	now := time.Now()
	claims := fmt.Sprintf(`{"username":%s,"super_user":%t,"iat":%d,"exp":%d,"sub":%q}`,
		quoted(name), s.superUser(u), now.Unix(), now.Add(ttl).Unix(), kind)
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(claims))
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.Key, crypto.SHA256, sum[:])
	if err != nil {
		panic("wiretest: sign token: " + err.Error())
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// verify returns the user and the kind of a token that is signed by Key and has not expired.
func (s *OldServer) verify(token string) (name, kind string, ok bool) {
	signed, signature, _ := cutLast(token)
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		return "", "", false
	}
	sum := sha256.Sum256([]byte(signed))
	if rsa.VerifyPKCS1v15(&s.Key.PublicKey, crypto.SHA256, sum[:], raw) != nil {
		return "", "", false
	}
	_, payload, _ := strings.Cut(signed, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return "", "", false
	}
	var claims struct {
		Username string `json:"username"`
		Subject  string `json:"sub"`
		Expires  int64  `json:"exp"`
	}
	if json.Unmarshal(text, &claims) != nil || claims.Expires <= time.Now().Unix() {
		return "", "", false
	}
	return claims.Username, claims.Subject, true
}

func cutLast(token string) (before, after string, found bool) {
	at := strings.LastIndexByte(token, '.')
	if at < 0 {
		return token, "", false
	}
	return token[:at], token[at+1:], true
}
