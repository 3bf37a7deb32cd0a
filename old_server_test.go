package opgrant_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// oldServer answers as recorded. It knows olga and every name that begins with "old". Their passwords are the names with "pw".
type oldServer struct {
	*httptest.Server

	mutex   sync.Mutex
	reply   http.HandlerFunc // answers in its place; nil: it answers itself
	asked   []string         // operation and caller of each request
	now     int              // questions under way
	highest int              // of them at a time
}

func startOldServer(t *testing.T) *oldServer {
	t.Helper()
	s := &oldServer{}
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

// questions are the operations that have arrived, with the names of their callers.
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
	var op struct{ Operation string }
	_ = json.Unmarshal(body, &op)
	name, password, _ := r.BasicAuth()
	s.mutex.Lock()
	s.asked = append(s.asked, op.Operation+" "+name)
	s.now++
	s.highest = max(s.highest, s.now)
	reply := s.reply
	s.mutex.Unlock()
	defer func() {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.now--
	}()
	if reply == nil {
		reply = asRecorded(op.Operation, name, password)
	}
	reply(w, r)
}

// asRecorded is the answer to an operation with Basic credentials.
func asRecorded(operation, name, password string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if operation == "login" { // its credentials are in the body, and have been checked
			_, _ = io.WriteString(w, `{"message":"Login successful"}`)
			return
		}
		if name != "olga" && !strings.HasPrefix(name, "old") || password != name+"pw" {
			w.Header()["Content-Type"] = nil
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"Login failed"}`)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if operation == "user_info" {
			_, _ = fmt.Fprintf(w, `{"active":true,"username":%q,"role":{"permission":{"super_user":false},"role":"keeper","id":"keeper"}}`, name)
			return
		}
		_, _ = io.WriteString(w, `{"message":"done"}`)
	}
}
