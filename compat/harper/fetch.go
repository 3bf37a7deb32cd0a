package harper

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Source is a running server, with the credentials of a super user there.
type Source struct {
	// URL is that of the operations API. It is http or https and holds no credentials.
	URL string
	// Username and Password are sent with each request, by HTTP Basic. They are not sent on to where the server redirects.
	Username, Password string
}

// timeout bounds one request.
const timeout = 5 * time.Minute

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 512 << 20

// Fetch reads all users and roles. The server leaves out members that are not set, so a user without refresh_token in the answer
// has no refresh token. The error says what the server has answered, and never holds the password.
func (s Source) Fetch(ctx context.Context) (*Export, error) {
	if u, err := url.Parse(s.URL); err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("harper: not a URL like https://harper.example.org:9925, without credentials")
	}
	e := &Export{}
	for _, table := range []struct{ name, attribute string }{{"hdb_role", "role"}, {"hdb_user", "username"}} {
		body, err := s.search(ctx, table.name, table.attribute)
		if err != nil {
			return nil, fmt.Errorf("harper: %s: %w", table.name, err)
		}
		if err := e.Read(table.name, bytes.NewReader(body)); err != nil {
			return nil, err
		}
	}
	for i := range e.Users {
		if e.Users[i].RefreshHash == nil {
			e.Users[i].RefreshHash = new(string)
		}
	}
	if len(e.Users) == 0 {
		return nil, fmt.Errorf("hdb_user: %w", ErrEmpty)
	}
	return e, nil
}

// search returns the rows of a system table as a JSON array. The attribute is one that every row has.
func (s Source) search(ctx context.Context, table, attribute string) ([]byte, error) {
	operation, err := json.Marshal(map[string]any{
		"operation": "search_by_value", "schema": "system", "table": table,
		"search_attribute": attribute, "search_value": "*", "get_attributes": []string{"*"},
	})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(operation))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(s.Username, s.Password)
	client := &http.Client{Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	case resp.StatusCode != http.StatusOK || len(body) == 0 || !json.Valid(body) || bytes.TrimSpace(body)[0] != '[':
		return nil, s.unexpected(resp, body)
	}
	return body, nil
}
