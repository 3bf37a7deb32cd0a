package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// introspect checks a token by introspection, or by a response that is in the cache.
func (g *Guard) introspect(ctx context.Context, token string) (*Claims, error) {
	return g.cache.get(ctx, token, func(ctx context.Context) (*Claims, error) {
		body, err := g.requestIntrospection(ctx, token)
		if err != nil {
			return nil, fmt.Errorf("resource: introspection: %w", err)
		}
		return g.readResponse(body)
	})
}

func (g *Guard) requestIntrospection(ctx context.Context, token string) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	i := g.config.Introspection
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, i.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(i.ClientID), url.QueryEscape(i.ClientSecret)) // RFC 6749 section 2.3.1
	resp, err := g.config.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	var body map[string]any
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&body); err != nil {
		return nil, err
	}
	if _, ok := body["active"].(bool); !ok {
		return nil, errors.New("the response does not say whether the token is active")
	}
	return body, nil
}

// readResponse reads a response of RFC 7662 section 2.2. An active token may still be a refresh token, or be for another
// resource server.
func (g *Guard) readResponse(body map[string]any) (*Claims, error) {
	if body["active"] != true {
		return nil, ErrInvalid
	}
	if use, ok := body["token_use"]; ok && use != "access_token" {
		return nil, ErrInvalid
	}
	c := &Claims{All: body}
	c.readOptional(body)
	c.Subject, _ = body["sub"].(string)
	c.Issued, c.Expires = unixTime(body["iat"]), unixTime(body["exp"])
	if c.Expires.IsZero() {
		return nil, ErrInvalid
	}
	audience := stringList(body["aud"])
	if len(audience) == 0 { // a token of the legacy profile
		if !g.config.Legacy || c.Subject == "" {
			return nil, ErrInvalid
		}
		g.limitLegacy(c, body)
		return c, nil
	}
	if !slices.Contains(audience, g.config.Audience) || body["iss"] != nil && body["iss"] != g.config.Issuer {
		return nil, ErrInvalid
	}
	return c, nil
}

func unixTime(v any) time.Time {
	n, ok := v.(float64)
	if !ok {
		return time.Time{}
	}
	return time.Unix(int64(n), 0)
}

// stringList reads a string or a list of strings.
func stringList(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var list []string
		for _, one := range v {
			if s, ok := one.(string); ok {
				list = append(list, s)
			}
		}
		return list
	}
	return nil
}
