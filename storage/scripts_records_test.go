package storage

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// fullRecord is a session record with what only scripts look at.
type fullRecord struct {
	session
	listed       bool
	oldUsedUntil int64
}

// encode writes the layout of record.lua.
func (r fullRecord) encode() string {
	flags, more := 0, 0
	var head, tail []byte
	number := func(to *[]byte, n int64, size int) {
		*to = append(*to, binary.BigEndian.AppendUint64(nil, uint64(n))[8-size:]...)
	}
	time := func(to *[]byte, ms int64) { number(to, ms/timeUnit, 5) }
	expiries := func(list map[string]int64) {
		number(&tail, int64(len(list)), 2)
		for _, hash := range slices.Sorted(maps.Keys(list)) {
			tail = append(tail, hash...)
			time(&tail, list[hash])
		}
	}
	field := func(flags *int, flag int, present bool, write func()) {
		if present {
			*flags |= flag
			write()
		}
	}
	nothing := func() {}
	field(&flags, flagGeneration, r.generation != "", func() { head = append(head, r.generation...) })
	field(&flags, flagClientGeneration, r.clientGeneration != "", func() { head = append(head, r.clientGeneration...) })
	field(&flags, flagCurrent, r.current != "", func() {
		head = append(head, r.current...)
		time(&head, r.currentExpires)
		number(&head, int64(r.number), 4)
	})
	field(&flags, flagSelfContained, r.selfContained, nothing)
	field(&flags, flagListed, r.listed, nothing)
	field(&flags, flagAccessExpires, r.accessExpires > 0, func() { time(&head, r.accessExpires) })
	field(&flags, flagEnds, r.ends > 0, func() { time(&head, r.ends) })
	field(&more, flagParent, r.parent != "", func() { tail = append(tail, r.parent...) })
	field(&more, flagID, r.id != "", func() {
		number(&tail, int64(len(r.id)), 2)
		tail = append(tail, r.id...)
	})
	field(&more, flagUsed, r.used != "", func() {
		number(&tail, int64(len(r.used)/hashLength), 1)
		tail = append(tail, r.used...)
	})
	field(&more, flagAccess, len(r.access) > 0, func() { expiries(r.access) })
	field(&more, flagRevoked, len(r.revoked) > 0, func() { expiries(r.revoked) })
	field(&more, flagOldUsed, r.oldUsed != "", func() {
		number(&tail, int64(len(r.oldUsed)), 2)
		tail = append(tail, r.oldUsed...)
		time(&tail, r.oldUsedUntil)
	})
	if more > 0 {
		flags |= flagMore
		tail = append([]byte{byte(more)}, tail...)
	}
	out := []byte{recordVersion, byte(flags)}
	time(&out, r.created)
	return string(slices.Concat(out, head, tail, r.body))
}

// showRecord writes a record in a form that can be compared and read.
func showRecord(raw string) any {
	s, err := parseSession(raw)
	if err != nil {
		return fmt.Sprintf("%q: %v", raw, err)
	}
	listed, until := raw[1]&flagListed != 0, int64(0)
	if s.oldUsed != "" {
		end := len(raw) - len(s.body)
		until = (&fields{left: raw[end-5:]}).time()
	}
	body := string(s.body)
	s.body, s.size = nil, 0
	return fmt.Sprintf("%+v listed:%v oldUsedUntil:%d body:%s", *s, listed, until, body)
}

// text64 is a hash as records of the version before have it.
func text64(raw string) string { return base64.RawURLEncoding.EncodeToString([]byte(raw)) }
