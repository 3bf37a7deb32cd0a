package storage_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/ory/fosite/handler/openid"
	"golang.org/x/oauth2"
)

// session is a session of stock fosite with OpenID Connect.
func session(subject string) *openid.DefaultSession {
	s := openid.NewDefaultSession()
	s.Subject, s.Claims.Subject = subject, subject
	return s
}

// application is an OAuth 2.0 client of the examples, as far as golang.org/x/oauth2 is not one.
type application struct {
	*oauth2.Config
	server string
}

// authorize pushes an authorization request (RFC 9126), follows it as a browser does, and returns the code that comes back.
func (a application) authorize(request string) (code string) {
	pushed := a.post("/par", must(url.Parse(request)).Query())
	query := url.Values{"client_id": {a.ClientID}, "request_uri": {pushed["request_uri"].(string)}}
	response := must(http.DefaultTransport.RoundTrip(must(http.NewRequest(http.MethodGet, a.server+"/auth?"+query.Encode(), nil))))
	check(response.Body.Close())
	return must(response.Location()).Query().Get("code")
}

// refusal is the error code of a token endpoint that refuses a code.
func (a application) refusal(ctx context.Context, code, verifier string) string {
	_, err := a.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return refused.ErrorCode
	}
	panic(err)
}

// post sends a form with the client's credentials and returns the JSON of the answer, if there is any.
func (a application) post(path string, form url.Values) map[string]any {
	request := must(http.NewRequest(http.MethodPost, a.server+path, strings.NewReader(form.Encode())))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(a.ClientID, a.ClientSecret)
	response := must(http.DefaultTransport.RoundTrip(request))
	defer response.Body.Close()
	var answer map[string]any
	_ = json.NewDecoder(response.Body).Decode(&answer)
	return answer
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
