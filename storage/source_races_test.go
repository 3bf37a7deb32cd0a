package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestAUserWhoIsDroppedDuringTheQuestionIsRefused(t *testing.T) {
	source := &oldUsers{}
	u, ctx := usersOf(t, storagetest.StartMiniredis(t), source), t.Context()
	source.verify = func(ctx context.Context, name, password string) (User, Role, error) {
		mustAdd(t, u, name, "other", "")
		if err := u.DropUser(ctx, name); err != nil {
			t.Error(err)
		}
		return knowsOlga(ctx, name, password)
	}
	_, err := u.VerifyPassword(ctx, "olga", "right", "")
	wantErr(t, "login", err, fosite.ErrNotFound)
	_, err = u.User(ctx, "olga")
	wantErr(t, "user", err, fosite.ErrNotFound)
}

// Another server imports the user, or an administrator adds one of that name, while the question is asked.
func TestTheRecordDecidesAfterALostRace(t *testing.T) {
	source := &oldUsers{}
	u, ctx := usersOf(t, storagetest.StartMiniredis(t), source), t.Context()
	var stored string
	var active bool
	source.verify = func(ctx context.Context, name, password string) (User, Role, error) {
		if err := u.AddUser(ctx, User{Name: name, Role: "other", Active: active}, stored); err != nil {
			t.Error(err)
		}
		return knowsOlga(ctx, name, password)
	}
	for i, test := range []struct {
		stored string
		active bool
		want   error
	}{{"right", true, nil}, {"another", true, fosite.ErrNotFound}, {"right", false, ErrUserDisabled}, {"another", false, fosite.ErrNotFound}} {
		stored, active = test.stored, test.active
		name := fmt.Sprint("user ", i)
		user, err := u.VerifyPassword(ctx, name, "right", "")
		if !errors.Is(err, test.want) || err == nil && user.Role != "other" {
			t.Errorf("%+v: %+v, %v", test, user, err)
		}
		if rec := record(t, u, name); rec.Role != "other" || rec.Active != active {
			t.Errorf("%+v: stored as %+v", test, rec)
		}
	}
}

func TestWhatTheSourceDoesNotSayIsUnavailable(t *testing.T) {
	source := &oldUsers{}
	u, ctx := usersOf(t, storagetest.StartMiniredis(t), source), t.Context()
	for name, verify := range map[string]func(context.Context, string, string) (User, Role, error){
		"error": func(context.Context, string, string) (User, Role, error) { return User{}, Role{}, errors.New("502") },
		"refused and not": func(context.Context, string, string) (User, Role, error) {
			return User{}, Role{}, errors.Join(fosite.ErrNotFound, fosite.ErrTemporarilyUnavailable)
		},
		"another user": func(context.Context, string, string) (User, Role, error) {
			return User{Name: "HDB_ADMIN", Active: true}, keeper, nil
		},
		"a role that cannot be stored": func(_ context.Context, name, _ string) (User, Role, error) {
			return User{Name: name, Active: true}, Role{ID: "broken", Permission: []byte(`[]`)}, nil
		},
		"panic": func(context.Context, string, string) (User, Role, error) { panic("x") },
	} {
		source.verify = verify
		_, err := u.VerifyPassword(ctx, "olga", "right", "")
		if !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := u.Authenticate(ctx, "olga", "right"); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := u.ListUsers(ctx); len(list) != 0 {
		t.Errorf("stored: %v, %v", list, err)
	}
	source.verify = knowsOlga
	if _, err := u.VerifyPassword(ctx, "olga", "right", ""); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Two servers on one Redis verify the same user at the same time, and 20 users at once.
func TestTwoServersImportTheSameUsers(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		var both sync.WaitGroup
		both.Add(2)
		verify := func(ctx context.Context, name, password string) (User, Role, error) {
			if name == "olga" {
				both.Done() // so that neither has stored the user when the other one asks
				both.Wait()
			}
			return knowsOlga(ctx, name, password)
		}
		var all sync.WaitGroup
		for range 2 {
			u := usersOf(t, r, &oldUsers{verify: verify})
			for i := range 41 {
				all.Go(func() {
					name := "olga"
					if i > 0 {
						name = fmt.Sprint("user ", i%20)
					}
					if user, err := u.VerifyPassword(t.Context(), name, "right", ""); err != nil || !user.SuperUser {
						t.Errorf("%s: %+v, %v", name, user, err)
					}
				})
			}
		}
		all.Wait()
		u := testUsers(t, r)
		if list, err := u.ListUsers(t.Context()); err != nil || len(list) != 21 {
			t.Errorf("%d users, %v", len(list), err)
		}
		if _, err := u.VerifyPassword(t.Context(), "olga", "right", ""); err != nil {
			t.Errorf("without the source: %v", err)
		}
	})
}
