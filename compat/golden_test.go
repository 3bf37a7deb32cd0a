package compat_test

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/compat"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

// conversation is one file of testdata: the request of a client, the request to the token endpoint that it becomes, the answer
// of the token endpoint, and the answer to the client.
type conversation struct {
	comment                         string
	request, grant, token, response string
}

func parseConversation(data string) conversation {
	var c conversation
	into := &c.comment
	for line := range strings.Lines(data) {
		switch line {
		case "-- request --\n":
			into = &c.request
		case "-- grant --\n":
			into = &c.grant
		case "-- token response --\n":
			into = &c.token
		case "-- response --\n":
			into = &c.response
		default:
			*into += line
		}
	}
	return c
}

func (c conversation) format() []byte {
	text := c.comment + "-- request --\n" + c.request
	if c.grant != "" {
		text += "-- grant --\n" + c.grant + "-- token response --\n" + c.token
	}
	return []byte(text + "-- response --\n" + c.response)
}

// crlf converts the line ends of a file to those of an HTTP message.
func crlf(text string) string {
	head, body, _ := strings.Cut(text, "\n\n")
	return strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + strings.TrimSuffix(body, "\n")
}

// goldenAccounts is the Authenticator of the conversations.
type goldenAccounts struct{}

func (goldenAccounts) Password(_ context.Context, c compat.Credentials) (compat.Caller, error) {
	switch c.Name + ":" + c.Password {
	case "alice:alicepw":
		return compat.Caller{Name: "alice", Role: "staff"}, nil
	case "carol:carolpw":
		return compat.Caller{}, compat.ErrInactive
	}
	return compat.Caller{}, compat.ErrInvalid
}

func (goldenAccounts) Token(_ context.Context, token string) (compat.Caller, compat.TokenKind, error) {
	switch token {
	case "operation-token":
		return compat.Caller{Name: "alice", Role: "staff"}, compat.OperationToken, nil
	case "refresh-token":
		return compat.Caller{Name: "alice", Role: "staff"}, compat.RefreshToken, nil
	case "old-token":
		return compat.Caller{}, 0, compat.ErrExpired
	}
	return compat.Caller{}, 0, compat.ErrInvalid
}

func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no files in testdata: ", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(t, parseConversation(string(data)))
			if *update {
				if err := os.WriteFile(file, got.format(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(data), string(got.format())); diff != "" && !*update {
				t.Errorf("conversation (-want +got):\n%s", diff)
			}
		})
	}
}

// replay sends the request of a conversation, with a token endpoint that answers as in the file.
func replay(t *testing.T, c conversation) conversation {
	t.Helper()
	got := conversation{comment: c.comment, request: c.request}
	endpoint := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		got.grant, got.token = lines(r.PostForm), c.token
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(crlf(c.token))), r)
		if err != nil {
			t.Fatal("the file has no answer of the token endpoint: ", err)
		}
		defer func() { _ = resp.Body.Close() }()
		for name, values := range resp.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	})
	h, err := compat.New(compat.Config{Token: endpoint, Authenticator: goldenAccounts{}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(crlf(c.request))))
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(crlf(c.request), "\r\n\r\n")
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	resp := w.Result()
	defer func() { _ = resp.Body.Close() }()
	var b bytes.Buffer
	b.WriteString(resp.Status + "\n")
	if err := resp.Header.WriteSubset(&b, nil); err != nil {
		t.Fatal(err)
	}
	b.WriteString("\n" + w.Body.String() + "\n")
	got.response = strings.ReplaceAll(b.String(), "\r\n", "\n")
	return got
}

// lines formats a form with one parameter on each line.
func lines(form url.Values) string {
	return strings.ReplaceAll(form.Encode(), "&", "\n") + "\n"
}
