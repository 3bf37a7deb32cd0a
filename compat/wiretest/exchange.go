package wiretest

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// answer is the answer of the server.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send makes one exchange on a connection of its own. net/http would correct the requests that are malformed on purpose.
func send(addr string, c Case, fill func(string) string) (answer, error) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return answer{}, fmt.Errorf("wiretest: connect: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return answer{}, fmt.Errorf("wiretest: set deadline: %w", err)
	}
	body, err := c.body(fill)
	if err != nil {
		return answer{}, err
	}
	// Writing the body fails if the server refuses the request before it has read all of it. The answer may still be there.
	_, sendErr := conn.Write(append(c.head(addr, len(body), body != nil, fill), body...))
	resp, err := readResponse(bufio.NewReader(conn), c.Method)
	if err != nil {
		return answer{}, errors.Join(err, sendErr)
	}
	return resp, nil
}

// body returns the body to send, or nil if there is none.
func (c Case) body(fill func(string) string) ([]byte, error) {
	switch {
	case c.BodyGen != nil:
		g := c.BodyGen
		return []byte(g.Prefix + strings.Repeat(g.Open, g.N) + strings.Repeat(g.Close, g.N) + g.Suffix), nil
	case c.BodyBase64 != "":
		b, err := base64.StdEncoding.DecodeString(c.BodyBase64)
		if err != nil {
			return nil, fmt.Errorf("wiretest: body of %s: %w", c.Name, err)
		}
		return b, nil
	case c.Body != nil:
		return []byte(fill(*c.Body)), nil
	}
	return nil, nil
}

// head returns the request line and the header to send.
func (c Case) head(addr string, length int, hasBody bool, fill func(string) string) []byte {
	var b bytes.Buffer
	version := "1.1"
	if strings.HasSuffix(c.Name, "/HTTP/1.0") {
		version = "1.0"
	}
	fmt.Fprintf(&b, "%s %s HTTP/%s\r\n", c.Method, c.Path, version)
	has := func(name string) bool {
		for k := range c.Headers {
			if strings.EqualFold(k, name) {
				return true
			}
		}
		return false
	}
	if !has("Host") {
		fmt.Fprintf(&b, "Host: %s\r\n", addr)
	}
	for _, k := range slices.Sorted(maps.Keys(c.Headers)) {
		fmt.Fprintf(&b, "%s: %s\r\n", k, fill(c.Headers[k]))
	}
	if hasBody && !has("Content-Length") && !has("Transfer-Encoding") {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", length)
	}
	if !has("Connection") {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// readResponse reads the final answer and skips 100 Continue.
func readResponse(r *bufio.Reader, method string) (answer, error) {
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return answer{}, fmt.Errorf("wiretest: read answer: %w", err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusContinue {
			continue
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return answer{}, fmt.Errorf("wiretest: read body: %w", err)
		}
		return answer{resp.StatusCode, resp.Header, body}, nil
	}
}
