package authserver

import (
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
)

// The stored form of a session, without its subject:
//
//	version, flags   1 byte: version 1 is binary 10 in the two high bits, so that the form is never taken for JSON
//	LoggedIn         4 bytes, big endian, or a varint (loginVarint)
//	AccessExpires    varint, less LoggedIn
//	RefreshExpires   varint, less AccessExpires
//	Ends             varint, less RefreshExpires (hasEnds)
//	Role             text (hasRole)
//	Key              6 bytes (hasKey)
//	MadeFrom         a number of key IDs, then for each 0 and the 32 bytes of a thumbprint (RFC 7638), or 1 and a text
//	                 (hasMadeFrom)
//	Limit            1 byte, then the scopes and the targets, each a number of texts and the texts (hasLimit)
//
// Text has its length in front. Numbers and lengths are uvarints; varints are those of encoding/binary.
const (
	sessionVersion = 0b10 << 6
	versionBits    = 0b11 << 6

	hasEnds     = 1 << 0
	hasRole     = 1 << 1
	hasKey      = 1 << 2
	hasMadeFrom = 1 << 3
	hasLimit    = 1 << 4
	loginVarint = 1 << 5

	allScopes  = 1 << 0
	allTargets = 1 << 1

	thumbprintID = 0
	textID       = 1
)

var (
	_ encoding.BinaryMarshaler   = (*Session)(nil)
	_ encoding.BinaryUnmarshaler = (*Session)(nil)
)

// MarshalBinary encodes what a Storage keeps of the session besides its subject, in 9 to 13 bytes at OAuth clients. Its first
// byte is never that of a JSON object. It returns no error.
func (s *Session) MarshalBinary() ([]byte, error) {
	b := make([]byte, 1, 16)
	b[0] = sessionVersion
	if s.LoggedIn > 0 && s.LoggedIn <= math.MaxUint32 {
		b = binary.BigEndian.AppendUint32(b, uint32(s.LoggedIn))
	} else { // a client's own session, or a time that an imported token has made up
		b[0] |= loginVarint
		b = binary.AppendVarint(b, s.LoggedIn)
	}
	b = binary.AppendVarint(b, s.AccessExpires-s.LoggedIn)
	b = binary.AppendVarint(b, s.RefreshExpires-s.AccessExpires)
	if s.Ends != 0 {
		b[0] |= hasEnds
		b = binary.AppendVarint(b, s.Ends-s.RefreshExpires)
	}
	if s.Role != "" {
		b[0] |= hasRole
		b = appendText(b, s.Role)
	}
	if s.Key != (keyHash{}) {
		b[0] |= hasKey
		b = append(b, s.Key[:]...)
	}
	if len(s.MadeFrom) > 0 {
		b[0] |= hasMadeFrom
		b = appendKeyIDs(b, s.MadeFrom)
	}
	if s.Limit != nil {
		b[0] |= hasLimit
		b = append(b, flag(s.Limit.Scopes.All, allScopes)|flag(s.Limit.Targets.All, allTargets))
		b = appendTexts(b, s.Limit.Scopes.List)
		b = appendTexts(b, s.Limit.Targets.List)
	}
	return b, nil
}

// UnmarshalBinary decodes what MarshalBinary made. The subject stays as it is, and so does what is not stored. After an error
// nothing has changed: the form is damaged, or of a later version.
func (s *Session) UnmarshalBinary(data []byte) error {
	r := sessionReader{rest: data}
	head := r.byte()
	if !r.damaged && head&versionBits != sessionVersion {
		return errors.New("authserver: stored session of an unknown version")
	}
	var d Session
	if head&loginVarint != 0 {
		d.LoggedIn = r.varint()
	} else if login := r.take(4); login != nil {
		d.LoggedIn = int64(binary.BigEndian.Uint32(login))
	}
	d.AccessExpires = d.LoggedIn + r.varint()
	d.RefreshExpires = d.AccessExpires + r.varint()
	if head&hasEnds != 0 {
		d.Ends = d.RefreshExpires + r.varint()
	}
	if head&hasRole != 0 {
		d.Role = r.text()
	}
	if head&hasKey != 0 {
		copy(d.Key[:], r.take(len(d.Key)))
	}
	if head&hasMadeFrom != 0 {
		d.MadeFrom = r.list(r.keyID)
	}
	if head&hasLimit != 0 {
		bits := r.byte()
		r.damaged = r.damaged || bits&^(allScopes|allTargets) != 0
		d.Limit = &limit{Scopes: most{All: bits&allScopes != 0}, Targets: most{All: bits&allTargets != 0}}
		d.Limit.Scopes.List, d.Limit.Targets.List = r.list(r.text), r.list(r.text)
	}
	if r.damaged || len(r.rest) > 0 {
		return errors.New("authserver: stored session is damaged")
	}
	s.LoggedIn, s.AccessExpires, s.RefreshExpires, s.Ends = d.LoggedIn, d.AccessExpires, d.RefreshExpires, d.Ends
	s.Role, s.Key, s.MadeFrom, s.Limit = d.Role, d.Key, d.MadeFrom, d.Limit
	return nil
}

// DecodeSession decodes a stored session for people and for commands: what MarshalBinary made, which has no subject, or the JSON
// of earlier versions.
func DecodeSession(data []byte) (*Session, error) {
	s := &Session{}
	if len(data) > 0 && data[0] == '{' {
		if err := json.Unmarshal(data, s); err != nil {
			return nil, fmt.Errorf("authserver: decode session: %w", err)
		}
		return s, nil
	}
	if err := s.UnmarshalBinary(data); err != nil {
		return nil, err
	}
	return s, nil
}

// DependsOnKey tells whether a stored session, in either form that DecodeSession reads, ends when the key of that ID is revoked.
func DependsOnKey(data []byte, kid string) (bool, error) {
	s, err := DecodeSession(data)
	if err != nil {
		return false, err
	}
	return s.Key == hashKey(kid) || slices.Contains(s.MadeFrom, kid), nil
}

// keyHash is 48 bits of the hash of a key's ID: enough to find the sessions of a key. The zero value is that of none.
type keyHash [6]byte

func hashKey(kid string) keyHash {
	sum := sha256.Sum256([]byte(kid))
	return keyHash(sum[:len(keyHash{})])
}

// UnmarshalJSON reads the ID of a key, which earlier versions have stored, or what encoding/json makes of a keyHash.
func (h *keyHash) UnmarshalJSON(data []byte) error {
	var kid string
	if json.Unmarshal(data, &kid) == nil {
		if kid != "" {
			*h = hashKey(kid)
		}
		return nil
	}
	return json.Unmarshal(data, (*[6]byte)(h))
}

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendTexts(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, text := range list {
		b = appendText(b, text)
	}
	return b
}

func appendKeyIDs(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, kid := range list {
		raw, err := base64.RawURLEncoding.DecodeString(kid)
		if err == nil && len(raw) == sha256.Size && base64.RawURLEncoding.EncodeToString(raw) == kid {
			b = append(append(b, thumbprintID), raw...)
		} else {
			b = appendText(append(b, textID), kid)
		}
	}
	return b
}
