package storage

import (
	"encoding"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
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

// decodeDocument reads what encodeRequest made, or the record of the version before that it is in. Its errors are marked as
// unavailable.
func decodeDocument(op string, raw []byte) (*document, error) {
	var (
		d   *document
		err error
	)
	if len(raw) > 0 && raw[0] == '{' {
		d, err = parseOldDocument(raw)
	} else {
		d, err = parseDocument(raw)
	}
	if err == nil && len(d.Session) == 0 {
		err = errors.New("nothing of the session")
	}
	if err != nil {
		return nil, unavailable.Error(op, fmt.Errorf("%w: %w", unavailable.ErrRecord, err))
	}
	return d, nil
}

func parseOldDocument(raw []byte) (*document, error) {
	var o oldSession
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, err
	}
	d := &document{lastUsed: o.LastUsed, address: o.Address, userAgent: o.UserAgent}
	if err := json.Unmarshal([]byte(o.Doc), d); err != nil {
		return nil, err
	}
	return d, nil
}

func parseDocument(raw []byte) (*document, error) {
	r := &fields{left: string(raw)}
	form, flags := r.number(1), r.number(1)
	if form != formJSON && form != formBinary || flags >= flagUserAgent<<1 {
		return nil, fmt.Errorf("a request of form %d", form)
	}
	d := &document{At: r.varint(), Client: r.text(), Subject: r.text(), binary: form == formBinary}
	d.lastUsed = d.At
	lists := func(flag int64) (granted, requested []string) {
		if flags&flag != 0 {
			granted = r.texts()
		}
		if flags&(flag<<1) != 0 {
			return granted, r.texts()
		}
		return granted, slices.Clone(granted)
	}
	d.Scopes, d.RequestedScopes = lists(flagScopes)
	d.Audience, d.RequestedAudience = lists(flagAudience)
	if flags&flagForm != 0 {
		var err error
		if d.Form, err = url.ParseQuery(r.text()); err != nil {
			return nil, err
		}
	}
	if flags&flagAddress != 0 {
		d.address = textAddress(r.text())
	}
	if flags&flagUserAgent != 0 {
		d.agentHash = r.take(agentLength)
	}
	d.Session = []byte(r.left)
	return d, r.err
}

func (r *fields) varint() int64 {
	n, size := binary.Varint([]byte(r.left[:min(len(r.left), binary.MaxVarintLen64)]))
	if size <= 0 {
		r.err = errTruncated
		return 0
	}
	r.take(size)
	return n
}

func (r *fields) length() int {
	n, size := binary.Uvarint([]byte(r.left[:min(len(r.left), binary.MaxVarintLen64)]))
	if size <= 0 || n > uint64(len(r.left)) {
		r.err = errTruncated
		return 0
	}
	r.take(size)
	return int(n) //nolint:gosec // not longer than the record
}

func (r *fields) text() string { return r.take(r.length()) }

func (r *fields) texts() []string {
	n := r.length()
	list := make([]string, 0, n)
	for range n {
		list = append(list, r.text())
	}
	return list
}

// request makes a fosite request of the document, and decodes the session into the caller's. A nil one stays nil: fosite
// passes nil when it only wants to know whose token it is.
func (d *document) request(id string, client fosite.Client, into fosite.Session) (*fosite.Request, error) {
	if into != nil {
		if err := d.decodeInto(into); err != nil {
			return nil, fmt.Errorf("%w: session: %w", unavailable.ErrRecord, err)
		}
	}
	form := d.Form
	if form == nil {
		form = url.Values{}
	}
	return &fosite.Request{
		ID:                id,
		RequestedAt:       time.UnixMilli(d.At).UTC(),
		Client:            client,
		RequestedScope:    d.RequestedScopes,
		GrantedScope:      d.Scopes,
		RequestedAudience: d.RequestedAudience,
		GrantedAudience:   d.Audience,
		Form:              form,
		Session:           into,
	}, nil
}

// decodeInto decodes the session. One that encodes itself need not encode the subject.
func (d *document) decodeInto(into fosite.Session) error {
	if !d.binary {
		return json.Unmarshal(d.Session, into)
	}
	m, ok := into.(encoding.BinaryUnmarshaler)
	if !ok {
		return fmt.Errorf("it encoded itself, and a %T does not decode it", into)
	}
	if err := m.UnmarshalBinary(d.Session); err != nil {
		return err
	}
	if named, ok := into.(interface{ SetSubject(subject string) }); ok {
		named.SetSubject(d.Subject)
	}
	return nil
}
