// Command oauth2 drives a started server with golang.org/x/oauth2 and its clientcredentials.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

var base, service, user, password, client, secret = os.Getenv("url"), os.Getenv("service"), os.Getenv("user"), os.Getenv("password"), os.Getenv("client"), os.Getenv("secret")

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	code := run("golang.org/x/oauth2", func(did func(string)) error { return loginAndRefresh(ctx, did) })
	code += run("golang.org/x/oauth2/clientcredentials", func(did func(string)) error { return machine(ctx, did) })
	os.Exit(code)
}

func run(name string, body func(did func(string)) error) int {
	version := "?"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "golang.org/x/oauth2" {
				version = m.Version
			}
		}
	}
	var steps []string
	if err := body(func(step string) { steps = append(steps, step) }); err != nil {
		fmt.Printf("FAILED %s %s: after %v: %s\n", name, version, steps, strings.ReplaceAll(err.Error(), "\n", " "))
		return 1
	}
	fmt.Printf("ok %s %s: %s\n", name, version, strings.Join(steps, ", "))
	return 0
}

func loginAndRefresh(ctx context.Context, did func(string)) error {
	for name, style := range map[string]oauth2.AuthStyle{"header": oauth2.AuthStyleInHeader, "body": oauth2.AuthStyleInParams, "detected": oauth2.AuthStyleAutoDetect} {
		config := oauth2.Config{ClientID: client, ClientSecret: secret, Endpoint: oauth2.Endpoint{TokenURL: base + "/oauth2/token", AuthStyle: style}}
		token, err := config.PasswordCredentialsToken(ctx, user, password)
		if err != nil {
			return err
		}
		for range 2 {
			old := *token
			old.Expiry = time.Now().Add(-time.Minute)
			if token, err = config.TokenSource(ctx, &old).Token(); err != nil {
				return err
			}
			if token.RefreshToken == old.RefreshToken {
				return errors.New("the refresh token did not rotate")
			}
		}
		if err := look(ctx, token, user); err != nil {
			return err
		}
		did("password, refresh twice, token in use, secret in " + name)
	}
	return nil
}

func machine(ctx context.Context, did func(string)) error {
	config := clientcredentials.Config{ClientID: client, ClientSecret: secret, TokenURL: base + "/oauth2/token"}
	source := config.TokenSource(ctx)
	token, err := source.Token()
	if err != nil {
		return err
	}
	did("client_credentials")
	if err := look(ctx, token, client); err != nil {
		return err
	}
	did("token in use")
	return nil
}

// look uses the token at the example service, by the client that the library makes of it, and asks for it at the server.
func look(ctx context.Context, token *oauth2.Token, subject string) error {
	var served struct {
		Subject string `json:"subject"`
	}
	if err := send(oauth2.NewClient(ctx, oauth2.StaticTokenSource(token)), ctx, http.MethodGet, service+"/me", nil, &served); err != nil {
		return err
	}
	var seen struct {
		Active  bool   `json:"active"`
		Subject string `json:"sub"`
	}
	form := url.Values{"token": {token.AccessToken}, "client_id": {client}, "client_secret": {secret}}
	if err := send(&http.Client{Timeout: 10 * time.Second}, ctx, http.MethodPost, base+"/oauth2/introspect", form, &seen); err != nil {
		return err
	}
	if !seen.Active || seen.Subject != subject || served.Subject != subject {
		return fmt.Errorf("introspection says %+v, the example service %+v", seen, served)
	}
	return nil
}

func send(c *http.Client, ctx context.Context, method, at string, form url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := c.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", at, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}
