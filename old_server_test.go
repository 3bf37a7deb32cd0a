package opgrant_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opgrant/opgrant/compat/wiretest"
)

// oldServer answers as recorded, unless it is told to do otherwise. It knows olga and old0 to old199, whose passwords are the names
// with "pw", and whose role is keeper.
type oldServer struct {
	*httptest.Server
	known *wiretest.OldServer

	mutex   sync.Mutex
	reply   http.HandlerFunc // answers in its place; nil: it answers itself
	asked   []string         // operation and Basic name of each request
	now     int              // requests under way
	highest int              // of them at a time
}

func startOldServer(t *testing.T) *oldServer {
	t.Helper()
	cases := wiretest.LoadFile(t, "compat/testdata/wire-cases.json")
	known, err := wiretest.NewOldServer(cases)
	if err != nil {
		t.Fatal(err)
	}
	known.PutRole(wiretest.OldRole{ID: "keeper", Permission: `{"super_user":false}`})
	for i := range 201 {
		name := "olga"
		if i < 200 {
			name = fmt.Sprint("old", i)
		}
		known.PutUser(wiretest.OldUser{Name: name, Password: name + "pw", Role: "keeper", Active: true})
	}
	s := &oldServer{known: known}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// answer makes another handler answer. Nil: the server answers as recorded again.
func (s *oldServer) answer(reply http.HandlerFunc) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.reply = reply
}

// questions are the operations that have arrived, with the Basic names of their callers.
func (s *oldServer) questions() []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return slices.Clone(s.asked)
}

func (s *oldServer) atOnce() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.highest
}

func (s *oldServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	var op struct{ Operation string }
	_ = json.Unmarshal(body, &op)
	name, _, _ := r.BasicAuth()
	s.mutex.Lock()
	s.asked = append(s.asked, strings.TrimSpace(op.Operation+" "+name))
	s.now++
	s.highest = max(s.highest, s.now)
	reply := s.reply
	s.mutex.Unlock()
	defer func() {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.now--
	}()
	switch {
	case reply != nil:
		reply(w, r)
	case op.Operation == "login": // sets a cookie there, which is not what is tested here
		_, _ = io.WriteString(w, `{"message":"Login successful"}`)
	default:
		s.known.ServeHTTP(w, r)
	}
}
