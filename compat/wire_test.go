package compat_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/opgrant/opgrant/compat/wiretest"
)

func TestRecordedExchanges(t *testing.T) {
	f, err := os.Open("testdata/wire-cases.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cases, err := wiretest.Load(f)
	if err != nil {
		t.Fatal(err)
	}
	wiretest.Run(t, cases, func(t *testing.T, short bool) string {
		d := newDirectory(t)
		if short {
			d.access, d.refresh = 3*time.Second, 5*time.Second
		}
		s := httptest.NewUnstartedServer(d.handler(t, nil))
		s.Config.ReadHeaderTimeout = time.Minute
		s.Start()
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}, nil)
}

var _ http.Handler = (*directory)(nil)
