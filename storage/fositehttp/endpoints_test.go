package fositehttp_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/fositehttp"
)

// endpoints are the endpoints of a server. With helped they use package fositehttp, otherwise the writers of fosite.
func endpoints(p fosite.OAuth2Provider, helped bool) http.Handler {
	mux := http.NewServeMux()
	handle := func(path string, f func(ctx context.Context, rw http.ResponseWriter, r *http.Request)) {
		mux.HandleFunc(path, func(rw http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			if helped {
				ctx = fositehttp.Watch(ctx)
			}
			f(ctx, rw, r)
		})
	}
	handle("/token", func(ctx context.Context, rw http.ResponseWriter, r *http.Request) {
		var resp fosite.AccessResponder
		req, err := p.NewAccessRequest(ctx, r, &fosite.DefaultSession{})
		if err == nil {
			resp, err = p.NewAccessResponse(ctx, req)
		}
		switch {
		case err == nil:
			p.WriteAccessResponse(ctx, rw, req, resp)
		case helped:
			fositehttp.WriteAccessError(ctx, p, rw, req, err)
		default:
			p.WriteAccessError(ctx, rw, req, err)
		}
	})
	handle("/introspect", func(ctx context.Context, rw http.ResponseWriter, r *http.Request) {
		resp, err := p.NewIntrospectionRequest(ctx, r, &fosite.DefaultSession{})
		switch {
		case err == nil:
			p.WriteIntrospectionResponse(ctx, rw, resp)
		case helped:
			fositehttp.WriteIntrospectionError(ctx, p, rw, err)
		default:
			p.WriteIntrospectionError(ctx, rw, err)
		}
	})
	handle("/revoke", func(ctx context.Context, rw http.ResponseWriter, r *http.Request) {
		err := p.NewRevocationRequest(ctx, r)
		if helped {
			fositehttp.WriteRevocationResponse(ctx, p, rw, err)
		} else {
			p.WriteRevocationResponse(ctx, rw, err)
		}
	})
	handle("/authorize", func(ctx context.Context, rw http.ResponseWriter, r *http.Request) {
		var resp fosite.AuthorizeResponder
		req, err := p.NewAuthorizeRequest(ctx, r)
		if err == nil {
			resp, err = p.NewAuthorizeResponse(ctx, req, &fosite.DefaultSession{Subject: "alice"})
		}
		switch {
		case err == nil:
			p.WriteAuthorizeResponse(ctx, rw, req, resp)
		case helped:
			fositehttp.WriteAuthorizeError(ctx, p, rw, req, err)
		default:
			p.WriteAuthorizeError(ctx, rw, req, err)
		}
	})
	handle("/par", func(ctx context.Context, rw http.ResponseWriter, r *http.Request) {
		var resp fosite.PushedAuthorizeResponder
		req, err := p.NewPushedAuthorizeRequest(ctx, r)
		if err == nil {
			resp, err = p.NewPushedAuthorizeResponse(ctx, req, &fosite.DefaultSession{})
		}
		switch {
		case err == nil:
			p.WritePushedAuthorizeResponse(ctx, rw, req, resp)
		case helped:
			fositehttp.WritePushedAuthorizeError(ctx, p, rw, req, err)
		default:
			p.WritePushedAuthorizeError(ctx, rw, req, err)
		}
	})
	return mux
}

// answer is what a client sees.
type answer struct {
	Status int
	Error  string // of the body or, for a redirect, of its query
	Active bool
	header http.Header
	body   string
	fields map[string]any
}

func (a answer) text(name string) string { text, _ := a.fields[name].(string); return text }

// call sends a request. as is "basic", "bearer TOKEN" or empty.
func call(h http.Handler, method, path, as string, form url.Values) answer {
	var r *http.Request
	if method == http.MethodPost {
		r = httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		r = httptest.NewRequest(method, path+"?"+form.Encode(), nil)
	}
	if token, ok := strings.CutPrefix(as, "bearer "); ok {
		r.Header.Set("Authorization", "Bearer "+token)
	} else if as == "basic" {
		r.SetBasicAuth("app", url.QueryEscape(secret))
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	a := answer{Status: rec.Code, header: rec.Result().Header, body: rec.Body.String()}
	_ = json.Unmarshal([]byte(a.body), &a.fields) // an empty body has no fields
	a.Error = a.text("error")
	a.Active, _ = a.fields["active"].(bool)
	if to, err := url.Parse(a.header.Get("Location")); err == nil && to.Host != "" {
		a.Error = to.Query().Get("error")
	}
	return a
}

func post(h http.Handler, path, as string, form url.Values) answer {
	return call(h, http.MethodPost, path, as, form)
}

// checkUnavailable checks all of the 503, which tells nothing of the cause.
func checkUnavailable(t *testing.T, a answer) {
	t.Helper()
	if a.Status != http.StatusServiceUnavailable || a.Error != "temporarily_unavailable" {
		t.Errorf("answer %d %s, want 503 temporarily_unavailable", a.Status, a.body)
	}
	if wait := a.header.Get("Retry-After"); wait < "1" || wait > "3" || len(wait) != 1 {
		t.Errorf("Retry-After %q, want 1 to 3", wait)
	}
	if a.text("error_description") != fosite.ErrTemporarilyUnavailable.DescriptionField || len(a.fields) != 2 {
		t.Errorf("body %s has more than the error and its description", a.body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json;charset=UTF-8", "Cache-Control": "no-store", "Pragma": "no-cache", "WWW-Authenticate": "",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
