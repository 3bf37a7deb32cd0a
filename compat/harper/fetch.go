package harper

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Source is a running server, with the credentials of a super user there.
type Source struct {
	URL, Username, Password string
}

// timeout bounds one request.
const timeout = 30 * time.Second

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 30

// Fetch reads all users and roles. The server leaves out members that are not set, so a user without refresh_token in the answer
// has no refresh token.
func (s Source) Fetch(ctx context.Context) (*Export, error) {
	e := &Export{}
	for _, table := range []struct{ name, attribute string }{{"hdb_role", "role"}, {"hdb_user", "username"}} {
		body, err := s.search(ctx, table.name, table.attribute)
		if err != nil {
			return nil, fmt.Errorf("harper: %s: %w", table.name, err)
		}
		if err := e.Read(bytes.NewReader(body)); err != nil {
			return nil, err
		}
	}
	for i := range e.Users {
		if e.Users[i].RefreshHash == nil {
			e.Users[i].RefreshHash = new(string)
		}
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
	req.SetBasicAuth(s.Username, s.Password)
	resp, err := (&http.Client{Timeout: timeout}).Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %d: is %q a super user there?", resp.StatusCode, s.Username)
	}
	return body, nil
}
