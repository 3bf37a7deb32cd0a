package storage

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

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
