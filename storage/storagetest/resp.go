package storagetest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

var errFrame = errors.New("storagetest: malformed RESP")

// readCommand reads one command, which clients send as an array of bulk strings. It returns the arguments, and the bytes
// unchanged.
func readCommand(r *bufio.Reader) (words []string, raw []byte, err error) {
	var buf bytes.Buffer
	line, err := readLine(r, &buf)
	if err != nil {
		return nil, nil, err
	}
	if line[0] != '*' {
		return nil, nil, fmt.Errorf("%w: command starts with %q", errFrame, line[0])
	}
	n, err := strconv.Atoi(string(line[1:]))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errFrame, err)
	}
	for range n {
		line, err := readLine(r, &buf)
		if err != nil {
			return nil, nil, err
		}
		size, err := strconv.Atoi(string(line[1:]))
		if err != nil || line[0] != '$' || size < 0 {
			return nil, nil, fmt.Errorf("%w: %q in a command", errFrame, line)
		}
		at := buf.Len()
		if _, err := io.CopyN(&buf, r, int64(size)+2); err != nil {
			return nil, nil, err
		}
		words = append(words, string(buf.Bytes()[at:at+size]))
	}
	return words, buf.Bytes(), nil
}

// readReply copies one reply of RESP2 or RESP3 to buf. push is true for a push message, which is not the reply to a command.
func readReply(r *bufio.Reader, buf *bytes.Buffer) (push bool, err error) {
	line, err := readLine(r, buf)
	if err != nil {
		return false, err
	}
	kind, rest := line[0], string(line[1:])
	parts := 0
	switch kind {
	case '$', '=', '!':
		size, err := strconv.Atoi(rest)
		if err != nil {
			return false, fmt.Errorf("%w: %w", errFrame, err)
		}
		if size >= 0 {
			_, err = io.CopyN(buf, r, int64(size)+2)
		}
		return false, err
	case '*', '~', '>', '%', '|':
		if parts, err = strconv.Atoi(rest); err != nil {
			return false, fmt.Errorf("%w: %w", errFrame, err)
		}
	}
	if kind == '%' || kind == '|' {
		parts *= 2
	}
	if kind == '|' { // attributes stand before the reply that they describe
		parts++
	}
	for range parts {
		if _, err := readReply(r, buf); err != nil {
			return false, err
		}
	}
	return kind == '>', nil
}

// readLine returns a line without its line end and appends the whole line to buf.
func readLine(r *bufio.Reader, buf *bytes.Buffer) ([]byte, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	buf.Write(line)
	if len(line) < 3 {
		return nil, errFrame
	}
	return line[:len(line)-2], nil
}
