package storage

import (
	"encoding/binary"
	"errors"
)

var errTruncated = errors.New("it is cut off")

// fields takes a record apart. After the first error everything is empty.
type fields struct {
	left string
	err  error
}

func (r *fields) take(n int) string {
	if r.err != nil || n > len(r.left) {
		r.err = errTruncated
		return ""
	}
	part := r.left[:n]
	r.left = r.left[n:]
	return part
}

func (r *fields) number(size int) int64 {
	var b [8]byte
	part := r.take(size)
	copy(b[8-len(part):], part)
	return int64(binary.BigEndian.Uint64(b[:])) // #nosec G115 -- at most five bytes
}

func (r *fields) time() int64 { return r.number(5) * timeUnit }

// short and long are text after its length, in one byte and in two.
func (r *fields) short() string { return r.take(int(r.number(1))) }

func (r *fields) long() string { return r.take(int(r.number(2))) }

func (r *fields) expiries() map[string]int64 {
	n := int(r.number(2))
	list := make(map[string]int64)
	for i := 0; i < n && r.err == nil; i++ {
		hash := r.take(hashLength)
		list[hash] = r.time()
	}
	return list
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
	return int(n) // #nosec G115 -- not longer than the record
}

// text and texts are as appendText writes them, and list in encodeRequest.
func (r *fields) text() string { return r.take(r.length()) }

func (r *fields) texts() []string {
	n := r.length()
	list := make([]string, 0, n)
	for range n {
		list = append(list, r.text())
	}
	return list
}
