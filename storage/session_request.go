package storage

import (
	"encoding"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// document is the stored form of a fosite request. Numbers and lengths are varints of encoding/binary.
//
//	1 form: 1, the session is JSON; 2, it encodes itself (encoding.BinaryMarshaler)
//	1 flags
//	  time of the request in milliseconds   ID of the client   subject
//	  flag  1   granted scopes             4   granted audience      16   parameters of the request
//	        2   requested scopes, unless   8   requested audience,   32   1 length and address, as bytes or text
//	            they are the granted ones      likewise              64   4 hash of the user agent
//	  the session
//
// Before, it was JSON.
type document struct {
	At                int64           `json:"t"`
	Client            string          `json:"c"`
	Subject           string          `json:"u,omitempty"`
	Scopes            []string        `json:"g,omitempty"`
	RequestedScopes   []string        `json:"r,omitempty"`
	Audience          []string        `json:"ga,omitempty"`
	RequestedAudience []string        `json:"ra,omitempty"`
	Form              url.Values      `json:"f,omitempty"`
	Session           json.RawMessage `json:"s"`

	lastUsed  int64
	address   string
	userAgent string // in records of the version before
	agentHash string
	binary    bool // the session encodes itself
}

const (
	formJSON   = 1
	formBinary = 2
)

const (
	flagScopes = 1 << iota
	flagRequestedScopes
	flagAudience
	flagRequestedAudience
	flagForm
	flagAddress
	flagUserAgent
)

const agentLength = 4

func encodeRequest(req fosite.Requester) ([]byte, error) {
	session, form, err := encodeSession(req.GetSession())
	if err != nil {
		return nil, err
	}
	address, userAgent := origin(req.GetSession())
	b := make([]byte, 0, 80+len(session))
	b = append(b, form, 0)
	b = binary.AppendVarint(b, req.GetRequestedAt().UnixMilli())
	b = appendText(b, req.GetClient().GetID())
	b = appendText(b, req.GetSession().GetSubject())
	list := func(flag byte, values []string) {
		b[1] |= flag
		b = binary.AppendUvarint(b, uint64(len(values)))
		for _, v := range values {
			b = appendText(b, v)
		}
	}
	lists := func(granted, requested []string, flag byte) {
		if len(granted) > 0 {
			list(flag, granted)
		}
		if !slices.Equal(granted, requested) {
			list(flag<<1, requested)
		}
	}
	lists(req.GetGrantedScopes(), req.GetRequestedScopes(), flagScopes)
	lists(req.GetGrantedAudience(), req.GetRequestedAudience(), flagAudience)
	if params := req.GetRequestForm(); len(params) > 0 {
		b[1] |= flagForm
		b = appendText(b, params.Encode())
	}
	if address != "" {
		b[1] |= flagAddress
		b = appendText(b, rawAddress(address))
	}
	if userAgent != "" {
		b[1] |= flagUserAgent
		b = append(b, agentHash(userAgent)...)
	}
	return append(b, session...), nil
}

func encodeSession(s fosite.Session) (raw []byte, form byte, err error) {
	if m, ok := s.(encoding.BinaryMarshaler); ok {
		raw, err = m.MarshalBinary()
		form = formBinary
	} else {
		raw, err = json.Marshal(s)
		form = formJSON
	}
	if err != nil {
		return nil, 0, fmt.Errorf("storage: encode session: %w", err)
	}
	return raw, form, nil
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// rawAddress is the bytes of an IP address. Other text has a zero before it, and is never as long as an IP address.
func rawAddress(address string) string {
	if ip, err := netip.ParseAddr(address); err == nil && ip.Zone() == "" && ip.String() == address {
		return string(ip.AsSlice())
	}
	text := "\x00" + address[:min(len(address), maxAddress)]
	if _, ok := netip.AddrFromSlice([]byte(text)); ok {
		text += "\x00"
	}
	return text
}

const maxAddress = 64

func textAddress(raw string) string {
	if ip, ok := netip.AddrFromSlice([]byte(raw)); ok {
		return ip.String()
	}
	return strings.Trim(raw, "\x00")
}

func agentHash(userAgent string) string {
	return redisdb.RawName(redisdb.Hash(userAgent))[:agentLength]
}
