package storage

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// oldUsers is a Source.
type oldUsers struct {
	verify func(ctx context.Context, name, password string) (User, Role, error)
	asked  atomic.Int32
}

func (s *oldUsers) Verify(ctx context.Context, name, password string) (User, Role, error) {
	s.asked.Add(1)
	return s.verify(ctx, name, password)
}

var keeper = Role{ID: "keeper", Name: "Keeper", Permission: []byte(`{"super_user":true}`)}

// knowsOlga is a source where the password of every user is "right".
func knowsOlga(_ context.Context, name, password string) (User, Role, error) {
	if password != "right" {
		return User{}, Role{}, fosite.ErrNotFound
	}
	return User{Name: name, Active: true}, keeper, nil
}

func usersOf(t *testing.T, r *storagetest.Instance, source Source) *Users {
	t.Helper()
	u, err := NewUsers(r.Client(t), Options{Password: cheap, Timeout: hang, CredentialCache: time.Hour, Source: source})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestUsersOfTheSourceAreStoredAtTheirFirstLogin(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		source := &oldUsers{verify: knowsOlga}
		u, ctx := usersOf(t, r, source), t.Context()
		before := u.PasswordRuns()
		user, err := u.VerifyPassword(ctx, "olga", "right", "")
		if err != nil || user.Name != "olga" || user.Role != "keeper" || !user.SuperUser || !user.Active || user.Scheme != SchemeArgon2id {
			t.Fatalf("first login: %+v, %v", user, err)
		}
		if runs := u.PasswordRuns() - before; runs != 1 {
			t.Errorf("it has cost %d hashes", runs)
		}
		rec := record(t, u, "olga")
		if rec.NotBefore != 0 || rec.Imported == "" || rec.Hash == "" || rec.Role != "keeper" {
			t.Errorf("stored as %+v", rec)
		}
		if role, err := u.Role(ctx, "keeper"); err != nil || role.Name != "Keeper" || string(role.Permission) != `{"super_user":true}` {
			t.Errorf("role %+v, %v", role, err)
		}
		if list, err := u.ListUsers(ctx); err != nil || len(list) != 1 {
			t.Errorf("listed: %v, %v", list, err)
		}
		if _, err := u.VerifyPassword(ctx, "olga", "right", ""); err != nil || u.PasswordRuns()-before != 1 {
			t.Errorf("the verified password is not in the cache: %v, %d hashes", err, u.PasswordRuns()-before)
		}
		_, err = u.VerifyPassword(ctx, "olga", "wrong", "")
		wantErr(t, "wrong password of a stored user", err, fosite.ErrNotFound)
		if _, err := u.Authenticate(ctx, "paul", "right"); err != nil {
			t.Errorf("a user whose role is here: %v", err)
		}
		if n := source.asked.Load(); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

// A role that came with a first login follows its source: the next import takes rights that it has lost there.
func TestTheRoleOfAFirstLoginFollowsItsSource(t *testing.T) {
	u, ctx := usersOf(t, storagetest.StartMiniredis(t), &oldUsers{verify: knowsOlga}), t.Context()
	if _, err := u.Authenticate(ctx, "olga", "right"); err != nil {
		t.Fatal(err)
	}
	demoted := Role{ID: "keeper", Name: "Keeper", Permission: []byte(`{"super_user":false}`)}
	results, err := u.ImportRoles(ctx, []Role{demoted}, false)
	if err != nil || results[0].Outcome != ImportUpdated {
		t.Fatalf("import: %+v, %v", results, err)
	}
	if user, err := u.User(ctx, "olga"); err != nil || user.SuperUser {
		t.Errorf("afterwards: %+v, %v", user, err)
	}
}

// A unit of work that has read that there is no user goes on with the one who was stored.
func TestAUnitOfWorkSeesTheImportedUser(t *testing.T) {
	u := usersOf(t, storagetest.StartMiniredis(t), &oldUsers{verify: knowsOlga})
	ctx, err := tokensOf(u).BeginTX(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.User(ctx, "olga"); !errors.Is(err, fosite.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := u.Authenticate(ctx, "olga", "right"); err != nil {
		t.Fatal(err)
	}
	if claims, err := u.Claims(ctx, "olga"); err != nil || claims["role"] != "keeper" || claims["super_user"] != true {
		t.Errorf("claims %v, %v", claims, err)
	}
}

// Refusals cost the hashes that they cost without a source.
func TestRefusalsOfTheSourceCostTheSame(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	plain := testUsers(t, r)
	importedKinds(t, plain)
	source := &oldUsers{verify: func(ctx context.Context, name, password string) (User, Role, error) {
		user, role, err := knowsOlga(ctx, name, password)
		user.Active = name != "disabled"
		return user, role, err
	}}
	u, ctx := usersOf(t, r, source), t.Context()
	cost := func(u *Users, name, password string, want error) int64 {
		before := u.PasswordRuns()
		_, err := u.VerifyPassword(ctx, name, password, "")
		wantErr(t, name, err, want)
		return u.PasswordRuns() - before
	}
	want := cost(plain, "nobody", "wrong", fosite.ErrNotFound)
	for name, got := range map[string]int64{
		"unknown there":       cost(u, "nobody", "wrong", fosite.ErrNotFound),
		"disabled there":      cost(u, "disabled", "right", ErrUserDisabled),
		"disabled, next time": cost(u, "disabled", "right", ErrUserDisabled),
	} {
		if got != want || want < 2 {
			t.Errorf("%s: %d hashes, want %d", name, got, want)
		}
	}
	if n := source.asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
	if rec := record(t, u, "disabled"); rec.Active || rec.Hash == "" {
		t.Errorf("stored as %+v", rec)
	}
}

// The source has its time, and what comes after the answer has its own.
func TestTheQuestionHasADeadline(t *testing.T) {
	source := &oldUsers{}
	u := usersOf(t, storagetest.StartMiniredis(t), source)
	var left time.Duration
	source.verify = func(ctx context.Context, name, password string) (User, Role, error) {
		deadline, _ := ctx.Deadline()
		left = time.Until(deadline)
		return knowsOlga(ctx, name, password)
	}
	if _, err := u.VerifyPassword(t.Context(), "olga", "right", ""); err != nil || left <= 0 || left > questionTime {
		t.Errorf("%v; %v for the question", err, left)
	}
}

func TestTheSourceIsNotAskedInVain(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		source := &oldUsers{verify: knowsOlga}
		u, ctx := usersOf(t, r, source), t.Context()
		mustAdd(t, u, "here", "other", "")
		mustAdd(t, u, "dropped", "right", "")
		if err := u.DropUser(ctx, "dropped"); err != nil {
			t.Fatal(err)
		}
		for _, login := range [][2]string{
			{"here", "right"},
			{"dropped", "right"},
			{"", "right"},
			{"olga", ""},
			{"olga", string(make([]byte, MaxPassword+1))},
			{"\xff", "right"},
			{string(make([]byte, 1025)), "right"},
		} {
			_, err := u.VerifyPassword(ctx, login[0], login[1], "")
			wantErr(t, login[0], err, fosite.ErrNotFound)
		}
		// An emptied Redis knows no user, and must not be filled again.
		if err := u.db.Client.FlushAll(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		_, err := u.VerifyPassword(ctx, "olga", "right", "")
		wantErr(t, "emptied", err, fosite.ErrTemporarilyUnavailable)
		if n := source.asked.Load(); n != 0 {
			t.Errorf("asked %d times", n)
		}
	})
}
