package redisserver_test

import (
	"errors"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/internal/password/passwordtest"
)

const superUser = `{"super_user":true}`

func (w *fixture) addRole(id, permission string) {
	w.t.Helper()
	_, err := w.store.Users.AddRole(w.ctx, storage.Role{ID: id, Permission: []byte(permission)})
	w.must(err)
}

func (w *fixture) addUser(name, role string) {
	w.t.Helper()
	w.must(w.store.Users.AddUser(w.ctx, storage.User{Name: name, Role: role, Active: true}, "one"))
	w.tries(name)
}

// tries makes the test try to log in.
func (w *fixture) tries(name string) {
	w.names, w.secrets = append(w.names, name), []string{"one", "two"}
}

func (w *fixture) importUser(i storage.Import) error {
	results, err := w.store.Users.ImportUsers(w.ctx, []storage.Import{i}, false)
	if err == nil {
		err = results[0].Err
	}
	return err
}

// imported is alice as another server has her. Her password is "one", and its hash of a kind that this store does not make.
func imported(password string) storage.Import {
	return storage.Import{
		User: storage.User{Name: "alice", Role: "boss", Active: true}, Follows: true,
		Hash: passwordtest.Argon2(password, passwordtest.Salt16, 64, 3, 4),
	}
}

func changePassword(w *fixture) error {
	password := "two"
	return w.store.Users.ChangeUser(w.ctx, "alice", storage.UserChange{Password: &password})
}

func verify(name, password string) func(w *fixture) error {
	return func(w *fixture) error {
		_, err := w.store.Users.VerifyPassword(w.ctx, name, password, "192.0.2.1")
		return err
	}
}

// settling are the commands that say how a login has ended. They are repeated in the background, and a right password needs none.
var settling = []string{
	"TIME f", "HGET f", "HSET f", "HDEL f", "PTTL f", "PEXPIRE f", "HLEN f", "DEL f", "ZADD k", "ZREMRANGEBYSCORE k", "ZREMRANGEBYRANK k", "PEXPIRE k",
}

var userOperations = []operation{
	{
		name: "add user", again: storage.ErrExists,
		setup: func(w *fixture) { w.addRole("boss", superUser); w.tries("alice") },
		run: func(w *fixture) error {
			return w.store.Users.AddUser(w.ctx, storage.User{Name: "alice", Role: "boss", Active: true}, "one")
		},
	},
	{
		name: "add user who was dropped", again: storage.ErrExists,
		setup: func(w *fixture) { w.addUser("alice", ""); w.must(w.store.Users.DropUser(w.ctx, "alice")) },
		run: func(w *fixture) error {
			return w.store.Users.AddUser(w.ctx, storage.User{Name: "alice", Active: true}, "two")
		},
	},
	{
		name: "add verified user who was dropped", want: storage.ErrDropped,
		setup: func(w *fixture) { w.addUser("alice", ""); w.must(w.store.Users.DropUser(w.ctx, "alice")) },
		run: func(w *fixture) error {
			return w.store.Users.AddVerifiedUser(w.ctx, storage.User{Name: "alice", Active: true}, "two")
		},
	},
	{
		name:  "change password",
		setup: func(w *fixture) { w.addUser("alice", ""); w.login("1", "alice", web) },
		run:   changePassword,
	},
	{
		name:  "disable user",
		setup: func(w *fixture) { w.addUser("alice", ""); w.login("1", "alice", web) },
		run: func(w *fixture) error {
			active := false
			return w.store.Users.ChangeUser(w.ctx, "alice", storage.UserChange{Active: &active})
		},
	},
	{
		name: "drop user", again: fosite.ErrNotFound,
		setup: func(w *fixture) { w.addUser("alice", ""); w.login("1", "alice", web) },
		run:   func(w *fixture) error { return w.store.Users.DropUser(w.ctx, "alice") },
	},
	{
		name: "drop user, by scripts whose replies are lost", again: fosite.ErrNotFound, resent: true,
		setup: func(w *fixture) { w.addUser("alice", "") },
		run:   func(w *fixture) error { return w.store.Users.DropUser(w.ctx, "alice") },
	},
	{
		name: "drop user who is gone at the source", again: fosite.ErrNotFound,
		setup: func(w *fixture) { w.must(w.importUser(imported("one"))); w.tries("alice") },
		run:   func(w *fixture) error { return w.store.Users.DropGoneUser(w.ctx, "alice") },
	},
	{
		name:  "import user",
		setup: func(w *fixture) { w.addRole("boss", superUser); w.tries("alice") },
		run:   func(w *fixture) error { return w.importUser(imported("one")) },
	},
	{
		name: "import user with another password",
		setup: func(w *fixture) {
			w.must(w.importUser(imported("one")))
			w.tries("alice")
			w.login("1", "alice", web)
		},
		run: func(w *fixture) error { return w.importUser(imported("two")) },
	},
	{
		name: "count kinds of hashes",
		setup: func(w *fixture) {
			w.must(w.importUser(imported("one")))
			w.must(changePassword(w))
			w.tries("alice")
		},
		run: func(w *fixture) error { return w.store.Users.CountHashKinds(w.ctx) },
	},
	{
		name: "right password", ignores: settling,
		setup: func(w *fixture) { w.addUser("alice", "") },
		run:   verify("alice", "one"),
	},
	{
		name: "right password with an old hash", ignores: append([]string{"GET u", "SET u"}, settling...),
		setup: func(w *fixture) { w.must(w.importUser(imported("one"))); w.tries("alice") },
		run:   verify("alice", "one"),
	},
	{
		name: "wrong password", want: fosite.ErrNotFound,
		setup: func(w *fixture) { w.addUser("alice", "") },
		run:   verify("alice", "wrong"),
	},
	{
		name: "wrong password for a kind of hash that is not counted yet", want: fosite.ErrNotFound,
		setup: func(w *fixture) {
			w.must(w.importUser(imported("one")))
			w.must(w.admin.Del(w.ctx, keys.HashKinds()).Err())
			w.tries("alice")
		},
		run: verify("alice", "wrong"),
	},
}

var roleOperations = []operation{
	{
		name:  "first boot",
		setup: func(w *fixture) { w.tries("root") },
		run: func(w *fixture) error {
			users := w.store.Users
			if _, err := users.Role(w.ctx, "boss"); errors.Is(err, fosite.ErrNotFound) {
				_, err = users.AddRole(w.ctx, storage.Role{ID: "boss", Permission: []byte(superUser)})
				if err != nil {
					return err
				}
			}
			if _, err := users.User(w.ctx, "root"); err == nil {
				return nil
			}
			return users.AddUser(w.ctx, storage.User{Name: "root", Role: "boss", Active: true}, "one")
		},
	},
	{
		name:  "add role",
		setup: func(w *fixture) { w.addUser("alice", "boss") },
		run: func(w *fixture) error {
			_, err := w.store.Users.AddRole(w.ctx, storage.Role{ID: "boss", Permission: []byte(superUser)})
			return err
		},
	},
	{
		name:  "make a role one of super users",
		setup: func(w *fixture) { w.addRole("boss", `{}`); w.addUser("alice", "boss") },
		run: func(w *fixture) error {
			_, err := w.store.Users.ChangeRole(w.ctx, storage.Role{ID: "boss", Permission: []byte(superUser)})
			return err
		},
	},
	{
		name:  "make a role one of other users",
		setup: func(w *fixture) { w.addRole("boss", superUser); w.addUser("alice", "boss") },
		run: func(w *fixture) error {
			_, err := w.store.Users.ChangeRole(w.ctx, storage.Role{ID: "boss", Permission: []byte(`{}`)})
			return err
		},
	},
	{
		name: "drop role of disabled users", again: fosite.ErrNotFound,
		setup: func(w *fixture) {
			w.addRole("boss", superUser)
			for _, name := range []string{"alice", "bob"} {
				active := false
				w.addUser(name, "boss")
				w.must(w.store.Users.ChangeUser(w.ctx, name, storage.UserChange{Active: &active}))
			}
		},
		run: func(w *fixture) error { return w.store.Users.DropRole(w.ctx, "boss") },
	},
	{
		name: "drop role that is gone at the source", again: fosite.ErrNotFound,
		setup: func(w *fixture) { w.must(importRole(superUser)(w)) },
		run:   func(w *fixture) error { return w.store.Users.DropGoneRole(w.ctx, "boss") },
	},
	{
		name:  "import role",
		setup: func(w *fixture) { w.addUser("alice", "boss") },
		run:   importRole(superUser),
	},
	{
		name:  "import role that is one of super users no longer",
		setup: func(w *fixture) { w.must(importRole(superUser)(w)); w.addUser("alice", "boss") },
		run:   importRole(`{}`),
	},
}

func importRole(permission string) func(w *fixture) error {
	return func(w *fixture) error {
		results, err := w.store.Users.ImportRoles(w.ctx, []storage.Role{{ID: "boss", Permission: []byte(permission)}}, false)
		if err == nil {
			err = results[0].Err
		}
		return err
	}
}

var clientOperations = []operation{
	{
		name: "add client",
		run:  func(w *fixture) error { return w.store.PutClient(w.ctx, web) },
	},
	{
		name:  "change client",
		setup: func(w *fixture) { w.login("1", "alice", web) },
		run: func(w *fixture) error {
			changed := *web
			changed.Name = "changed"
			return w.store.PutClient(w.ctx, &changed)
		},
	},
	{
		name: "remove client", again: fosite.ErrNotFound,
		setup: func(w *fixture) { w.login("1", "alice", web) },
		run:   func(w *fixture) error { return w.store.RemoveClient(w.ctx, "web") },
	},
	{
		name: "revoke client",
		setup: func(w *fixture) {
			w.login("1", "alice", web)
			w.login("2", "bob", web)
		},
		run: func(w *fixture) error { _, err := w.store.RevokeClient(w.ctx, "web"); return err },
	},
	{
		name: "use assertion", again: fosite.ErrJTIKnown,
		run: func(w *fixture) error { return w.store.SetClientAssertionJWT(w.ctx, "jti", time.Now().Add(time.Hour)) },
	},
	{
		name: "use assertion again", want: fosite.ErrJTIKnown,
		setup: func(w *fixture) { w.must(w.store.SetClientAssertionJWT(w.ctx, "jti", time.Now().Add(time.Hour))) },
		run:   func(w *fixture) error { return w.store.SetClientAssertionJWT(w.ctx, "jti", time.Now().Add(time.Hour)) },
	},
	{
		name: "save keys",
		run:  func(w *fixture) error { return w.store.Keys.SaveKeys(w.ctx, []byte(`{"new":true}`), "") },
	},
	{
		name:  "save other keys",
		setup: func(w *fixture) { w.must(w.store.Keys.SaveKeys(w.ctx, []byte(`{}`), "")) },
		run: func(w *fixture) error {
			_, revision, err := w.store.Keys.LoadKeys(w.ctx)
			if err != nil {
				return err
			}
			return w.store.Keys.SaveKeys(w.ctx, []byte(`{"new":true}`), revision)
		},
	},
	{
		name: "readiness",
		run:  func(w *fixture) error { return w.store.Ready(w.ctx) },
	},
}
