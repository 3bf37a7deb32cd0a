package wiretest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// OldServer is a server of the operations API to move away from: it answers its own users and roles with the recorded answers.
// It has what a migration needs of the recorded server: the two token operations, user_info, list_users, list_roles,
// search_by_value on its system tables, and describe_all. All others are not found. It is safe for concurrent use.
type OldServer struct {
	// Key signs its tokens.
	Key *rsa.PrivateKey
	// Before, unless it is nil, is called before each operation is answered, for a test that has to wait or to fail.
	Before func(w http.ResponseWriter, operation string) (answered bool)

	answers map[string]Expect // :: name of the case → answer
	mu      sync.Mutex
	users   []*OldUser
	roles   []OldRole
	served  map[string]int // :: operation → number
}

// OldUser is a user of an OldServer.
type OldUser struct {
	Name, Password, Role string
	Active               bool

	salt    string
	refresh string // the stored hash of the one refresh token
	at      float64
}

// OldRole is a role of an OldServer.
type OldRole struct {
	ID         string
	Permission string // JSON

	at float64
}

// NewOldServer returns a server with the super user HDB_ADMIN, password "password". The cases are those of Load.
func NewOldServer(cases []Case) (*OldServer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("wiretest: key of the old server: %w", err)
	}
	s := &OldServer{Key: key, answers: map[string]Expect{}, served: map[string]int{}}
	for _, c := range cases {
		s.answers[c.Name] = c.Expect
	}
	for _, name := range oldAnswers {
		if _, ok := s.answers[name]; !ok {
			return nil, fmt.Errorf("wiretest: no recorded case %q", name)
		}
	}
	s.PutRole(OldRole{ID: "super_user", Permission: `{"super_user":true}`})
	s.PutUser(OldUser{Name: "HDB_ADMIN", Password: "password", Role: "super_user", Active: true})
	return s, nil
}

// PutUser adds a user, or changes the one of that name.
func (s *OldServer) PutUser(u OldUser) {
	u.salt, u.at = strings.ToLower(rand.Text())[:16], milliseconds()
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.find(u.Name); at >= 0 {
		u.refresh = s.users[at].refresh
		s.users[at] = &u
		return
	}
	s.users = append(s.users, &u)
}

// DropUser removes a user.
func (s *OldServer) DropUser(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = slices.DeleteFunc(s.users, func(u *OldUser) bool { return u.Name == name })
}

// PutRole adds a role, or changes the one of that ID.
func (s *OldServer) PutRole(r OldRole) {
	r.at = milliseconds()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles = append(slices.DeleteFunc(s.roles, func(old OldRole) bool { return old.ID == r.ID }), r)
}

// Served returns how many calls of an operation it has got.
func (s *OldServer) Served(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.served[operation]
}

func (s *OldServer) find(name string) int {
	return slices.IndexFunc(s.users, func(u *OldUser) bool { return u.Name == name })
}

// user returns a copy of the user.
func (s *OldServer) user(name string) (OldUser, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.find(name)
	if at < 0 {
		return OldUser{}, false
	}
	return *s.users[at], true
}

func (s *OldServer) superUser(u OldUser) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.roles {
		var p struct {
			SuperUser bool `json:"super_user"`
		}
		if r.ID == u.Role && json.Unmarshal([]byte(r.Permission), &p) == nil {
			return p.SuperUser
		}
	}
	return false
}

func milliseconds() float64 { return float64(time.Now().UnixMicro()) / 1000 }

// saltedHash is the stored form of passwords and refresh tokens.
func saltedHash(salt, secret string) string {
	sum := sha256.Sum256([]byte(secret + salt))
	return salt + hex.EncodeToString(sum[:])
}
