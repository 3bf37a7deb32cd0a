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

var base, user, password, client, secret = os.Getenv("url"), os.Getenv("user"), os.Getenv("password"), os.Getenv("client"), os.Getenv("secret")

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

func look(ctx context.Context, token *oauth2.Token, subject string) error {
	body := strings.NewReader(url.Values{"token": {token.AccessToken}}.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/oauth2/introspect", body)
	if err != nil {
		return err
	}
	req.SetBasicAuth(client, secret)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var seen struct {
		Active  bool   `json:"active"`
		Subject string `json:"sub"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&seen); err != nil {
		return err
	}
	if !seen.Active || seen.Subject != subject {
		return fmt.Errorf("introspection says %+v", seen)
	}
	return nil
}
