package binarymap

// MessagePack returns the members of a map in MessagePack.
func MessagePack(body []byte) ([]Member, error) { return members(body, nextMessagePack) }

// timestamp is the one extension that is accepted.
const timestamp = 0xff

func nextMessagePack(r *reader) (item, error) {
	first, err := r.take(1)
	if err != nil {
		return item{}, err
	}
	switch c := first[0]; {
	case c < 0x80, c >= 0xe0, c == 0xc0, c == 0xc2, c == 0xc3: // a small number, nil, false, true
		return item{}, nil
	case c < 0x90:
		return r.container(uint64(c&0x0f), true)
	case c < 0xa0:
		return r.container(uint64(c&0x0f), false)
	case c < 0xc0:
		return r.text(uint64(c & 0x1f))
	case c >= 0xc4 && c <= 0xc6: // bytes
		return r.sized(1<<(c-0xc4), r.skip)
	case c == 0xc7:
		n, err := r.number(1)
		if err != nil {
			return item{}, err
		}
		return r.extension(n)
	case c == 0xca || c == 0xcb: // floats
		return r.skip(4 << (c - 0xca))
	case c >= 0xcc && c <= 0xcf:
		return r.skip(1 << (c - 0xcc))
	case c >= 0xd0 && c <= 0xd3:
		return r.skip(1 << (c - 0xd0))
	case c >= 0xd4 && c <= 0xd8:
		return r.extension(1 << (c - 0xd4))
	case c >= 0xd9 && c <= 0xdb:
		return r.sized(1<<(c-0xd9), r.text)
	case c == 0xdc || c == 0xdd:
		return r.sized(2<<(c-0xdc), func(n uint64) (item, error) { return r.container(n, false) })
	case c == 0xde || c == 0xdf:
		return r.sized(2<<(c-0xde), func(n uint64) (item, error) { return r.container(n, true) })
	}
	return item{}, ErrInvalid
}

// sized reads a length of so many bytes, and then what has the length.
func (r *reader) sized(size uint64, read func(uint64) (item, error)) (item, error) {
	n, err := r.number(size)
	if err != nil {
		return item{}, err
	}
	return read(n)
}

func (r *reader) extension(n uint64) (item, error) {
	kind, err := r.take(1)
	if err != nil || kind[0] != timestamp {
		return item{}, ErrInvalid
	}
	return r.skip(n)
}
