package wiretest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// The recorded cases whose answers an OldServer gives.
const (
	oldCreated       = "p1/create/happy admin"
	oldRefreshed     = "p2/refresh/refresh token as Bearer (happy)"
	oldMustLogin     = "p1/create/no credentials"
	oldWrongPassword = "p1/create/wrong password"
	oldBadBasic      = "p2/bearer/Basic bad user_info"
	oldBadToken      = "p2/refresh/old refresh token after a second create"    // #nosec G101 -- the name of a case
	oldNoToken       = "p2/refresh/operation token as Bearer (again, cached?)" // #nosec G101 -- likewise
	oldInactive      = "p2/lifecycle/Basic after deactivate"
	oldInfo          = "p2/bearer/user_info alice"
	oldRestricted    = "p2/bearer/list_users alice"
	oldRows          = "p4/storage/migration: hdb_user rows"
	oldDescribed     = "p2/bearer/describe_all alice"
	oldUnknown       = "p3/malformed/unknown op + auth"
	oldHealth        = "p3/methods/GET /health"
)

var oldAnswers = []string{
	oldCreated, oldRefreshed, oldMustLogin, oldWrongPassword, oldBadBasic, oldBadToken, oldNoToken, oldInactive, oldInfo,
	oldRestricted, oldRows, oldDescribed, oldUnknown, oldHealth,
}

var _ http.Handler = (*OldServer)(nil)

// oldCall is one operation, and who asks for it.
type oldCall struct {
	Operation    string `json:"operation"`
	Username     string `json:"username"`
	Password     string `json:"password"`
	RefreshToken string `json:"refresh_token"`
	Schema       string `json:"schema"`
	Table        string `json:"table"`
}

// ServeHTTP answers in the order of the recorded server: the Authorization header, the path, the operation.
func (s *OldServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	caller, refreshOf, refusal := s.authenticate(r)
	switch {
	case refusal != "":
		s.write(w, refusal, "")
		return
	case r.URL.Path == "/health":
		s.write(w, oldHealth, "")
		return
	case r.Method != http.MethodPost || r.URL.Path != "/":
		http.NotFound(w, r)
		return
	}
	var c oldCall
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil || json.Unmarshal(body, &c) != nil {
		http.Error(w, `{"error":"bad body"}`, http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.served[c.Operation]++
	s.mu.Unlock()
	if s.Before != nil && s.Before(w, c.Operation) {
		return
	}
	switch c.Operation {
	case "create_authentication_tokens":
		s.create(w, c, caller)
	case "refresh_operation_token":
		s.refresh(w, c, caller, refreshOf)
	default:
		s.operate(w, c, caller)
	}
}

// operate answers the operations that need a caller.
func (s *OldServer) operate(w http.ResponseWriter, c oldCall, caller string) {
	u, ok := s.user(caller)
	if !ok {
		s.write(w, oldMustLogin, "")
		return
	}
	system := c.Operation == "search_by_value" && c.Schema == "system"
	if (system || c.Operation == "list_users" || c.Operation == "list_roles") && !s.superUser(u) {
		s.write(w, oldRestricted, "")
		return
	}
	switch {
	case c.Operation == "user_info":
		s.write(w, oldInfo, s.info(u))
	case c.Operation == "list_users":
		s.write(w, oldRows, s.list(func(u *OldUser) string { return s.infoLocked(*u) }))
	case c.Operation == "list_roles", system && c.Table == "hdb_role":
		s.write(w, oldRows, s.roleRows())
	case system && c.Table == "hdb_user":
		s.write(w, oldRows, s.list(userRow))
	case c.Operation == "describe_all":
		s.write(w, oldDescribed, "")
	default:
		s.write(w, oldUnknown, fmt.Sprintf(`{"error":"Operation '%s' not found"}`, c.Operation))
	}
}

// write answers as the case was answered, with another body where one is given.
func (s *OldServer) write(w http.ResponseWriter, name, body string) {
	e := s.answers[name]
	w.Header()["Content-Type"] = nil
	for key, value := range e.Headers {
		w.Header().Set(key, value)
	}
	w.WriteHeader(e.Status)
	if body == "" {
		body = e.Body
	}
	_, _ = io.WriteString(w, body)
}

func (s *OldServer) info(u OldUser) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.infoLocked(u)
}

// infoLocked is a user as user_info and list_users return it.
func (s *OldServer) infoLocked(u OldUser) string {
	for _, r := range s.roles {
		if r.ID == u.Role {
			return fmt.Sprintf(`{"active":%t,"username":%s,"role":%s}`, u.Active, quoted(u.Name), r.row())
		}
	}
	return fmt.Sprintf(`{"active":%t,"username":%s}`, u.Active, quoted(u.Name))
}

func (s *OldServer) list(row func(*OldUser) string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := make([]string, len(s.users))
	for i, u := range s.users {
		rows[i] = row(u)
	}
	return "[" + strings.Join(rows, ",") + "]"
}

func (s *OldServer) roleRows() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := make([]string, len(s.roles))
	for i, r := range s.roles {
		rows[i] = r.row()
	}
	return "[" + strings.Join(rows, ",") + "]"
}

func (r OldRole) row() string {
	return fmt.Sprintf(`{"permission":%s,"role":%s,"id":%[2]s,"__updatedtime__":%f,"__createdtime__":%[3]f}`, r.Permission, quoted(r.ID), r.at)
}

// userRow is a row of system.hdb_user. A user without a refresh token has no such member.
func userRow(u *OldUser) string {
	refresh := ""
	if u.refresh != "" {
		refresh = `"refresh_token":` + quoted(u.refresh) + `,`
	}
	return fmt.Sprintf(`{"username":%s,%s"password":%s,"active":%t,"role":%s,"hash_function":"sha256","__updatedtime__":%f,"__createdtime__":%[6]f}`,
		quoted(u.Name), refresh, quoted(saltedHash(u.salt, u.Password)), u.Active, quoted(u.Role), u.at)
}

func quoted(s string) string {
	b, _ := json.Marshal(s) // a string always encodes
	return string(b)
}
