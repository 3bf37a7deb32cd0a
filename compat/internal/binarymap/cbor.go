package binarymap

// CBOR returns the members of a map in CBOR.
func CBOR(body []byte) ([]Member, error) { return members(body, nextCBOR) }

// The major types (RFC 8949, section 3.1), and the additional information that stands for a length which is not given.
const (
	cborUnsigned = iota
	cborNegative
	cborBytes
	cborText
	cborArray
	cborMap
	cborTag
	cborOther

	cborEndless = 31
	cborBreak   = 0xff
)

func nextCBOR(r *reader) (item, error) {
	first, err := r.take(1)
	if err != nil {
		return item{}, err
	}
	major, info := first[0]>>5, first[0]&0x1f
	switch {
	case first[0] == cborBreak:
		return item{isBreak: true}, nil
	case info == cborEndless && (major == cborArray || major == cborMap):
		return item{isMap: major == cborMap, endless: true}, nil
	case info > 27:
		return item{}, ErrInvalid
	}
	n := uint64(info)
	if info >= 24 {
		if n, err = r.number(1 << (info - 24)); err != nil {
			return item{}, err
		}
	}
	switch major {
	case cborUnsigned, cborNegative:
		return item{}, nil
	case cborBytes:
		return r.skip(n)
	case cborText:
		return r.text(n)
	case cborArray, cborMap:
		return r.container(n, major == cborMap)
	case cborTag:
		if n > 1 { // 0 and 1 are times
			return item{}, ErrInvalid
		}
		return item{n: 1}, nil
	}
	if info < 20 || info == 24 { // neither false, true, null, undefined nor a float
		return item{}, ErrInvalid
	}
	return item{}, nil
}
