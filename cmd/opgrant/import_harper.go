package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ory/fosite"
	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/compat/harper"
	"github.com/opgrant/opgrant/storage"
)

func (p *program) importCommand() *cobra.Command {
	return group("import", "Take over what another server knows", p.importHarperCommand())
}

// harperImport is where an import reads, and how.
type harperImport struct {
	keys, url, user, passwordFile string
	files                         []string
	verifyOnly, dryRun            bool
}

func (p *program) importHarperCommand() *cobra.Command {
	var from harperImport
	cmd := &cobra.Command{
		Use:   "harper",
		Short: "Take over keys, roles and users of a HarperDB server",
		Long: `Take over keys, roles and users of a HarperDB server. Nobody needs to log in again: tokens that the old server
signed are honoured until they expire, tokens signed here are accepted there, and passwords keep working.

  --keys DIR          its key pair: .jwtPrivate.key, .jwtPass and .jwtPublic.key, as they lie in its keys folder
  --file FILE         rows of system.hdb_user and system.hdb_role as JSON, exported by search_by_value or sql
  --url URL --user U  the same rows, read from the running server by a super user there

Each may be given, in any combination. Users and roles that were added or changed here are left alone, and a second run
changes nothing.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.importHarper(cmd.Context(), from) },
	}
	f := cmd.Flags()
	f.StringVar(&from.keys, "keys", "", "folder with the server's key pair")
	f.BoolVar(&from.verifyOnly, "verify-only", false, "honour its tokens, but sign with keys of our own")
	f.StringArrayVar(&from.files, "file", nil, "file of rows (- is standard input); may be given more than once")
	f.StringVar(&from.url, "url", "", "operations URL of the running server")
	f.StringVar(&from.user, "user", "", "super user there")
	f.StringVar(&from.passwordFile, "password-file", "", "file with that user's password (- is standard input)")
	f.BoolVar(&from.dryRun, "dry-run", false, "only say what would happen")
	p.outputFlag(cmd)
	return cmd
}

func (p *program) importHarper(ctx context.Context, from harperImport) error {
	if from.keys == "" && from.url == "" && len(from.files) == 0 {
		return errors.New("nothing to import: give --keys, --file or --url")
	}
	export, err := p.readHarper(ctx, from)
	if err != nil {
		return err
	}
	var pair *keyPair
	if from.keys != "" {
		if pair, err = readKeyPair(from.keys); err != nil {
			return err
		}
	}
	return p.withState(ctx, func(ctx context.Context, s *state) error {
		report := importReport{Outcomes: map[string]map[string]int{}, DryRun: from.dryRun}
		if pair != nil {
			if err := s.importKey(ctx, pair, from, &report); err != nil {
				return err
			}
		}
		if err := s.importRoles(ctx, export.Roles, from.dryRun, &report); err != nil {
			return err
		}
		if err := s.importUsers(ctx, export.Users, from.dryRun, &report); err != nil {
			return err
		}
		return p.printImport(report)
	})
}

func (p *program) readHarper(ctx context.Context, from harperImport) (*harper.Export, error) {
	export := &harper.Export{}
	if from.url != "" {
		password, err := p.readSecret(from.passwordFile, "password of "+from.user)
		if err != nil {
			return nil, err
		}
		if export, err = (harper.Source{URL: from.url, Username: from.user, Password: password}).Fetch(ctx); err != nil {
			return nil, err
		}
	}
	for _, path := range from.files {
		if path == "-" {
			if err := export.Read(p.stdin); err != nil {
				return nil, err
			}
			continue
		}
		raw, err := os.ReadFile(path) //nolint:gosec // the operator names the file
		if err != nil {
			return nil, err
		}
		if err := export.Read(bytes.NewReader(raw)); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return export, nil
}

// The files of a HarperDB key pair.
const (
	harperPrivate    = ".jwtPrivate.key"
	harperPassphrase = ".jwtPass"
	harperPublic     = ".jwtPublic.key"
)

// readKeyPair reads the private key, or where there is none the public one, which honours tokens and signs none.
func readKeyPair(dir string) (*keyPair, error) {
	private, err := os.ReadFile(filepath.Join(dir, harperPrivate)) //nolint:gosec // the operator names the folder
	if errors.Is(err, os.ErrNotExist) {
		text, err := os.ReadFile(filepath.Join(dir, harperPublic)) //nolint:gosec // likewise
		if err != nil {
			return nil, fmt.Errorf("%s: neither %s nor %s", dir, harperPrivate, harperPublic)
		}
		public, err := keys.ParsePublic(text)
		return &keyPair{public: public}, err
	}
	if err != nil {
		return nil, err
	}
	passphrase, err := os.ReadFile(filepath.Join(dir, harperPassphrase)) //nolint:gosec // likewise
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	signer, err := keys.ParsePrivate(private, bytes.TrimRight(passphrase, "\r\n"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, harperPrivate), err)
	}
	return &keyPair{private: signer, public: signer.Public()}, nil
}

// importRoles adds the roles that are not here yet.
func (s *state) importRoles(ctx context.Context, roles []harper.Role, dryRun bool, report *importReport) error {
	for _, role := range roles {
		found, err := s.store.Users.Role(ctx, role.ID)
		switch {
		case errors.Is(err, fosite.ErrTemporarilyUnavailable):
			return err
		case err == nil && bytes.Equal(found.Permission, role.Permission):
			report.count("roles", string(storage.ImportUnchanged))
			continue
		case err == nil:
			report.count("roles", string(storage.ImportKept))
			continue
		case !errors.Is(err, fosite.ErrNotFound):
			return err
		}
		if !dryRun {
			if _, err := s.store.Users.AddRole(ctx, storage.Role{ID: role.ID, Name: role.Name, Permission: role.Permission}); err != nil {
				return fmt.Errorf("role %q: %w", role.ID, err)
			}
		}
		report.count("roles", string(storage.ImportAdded))
	}
	return nil
}

func (s *state) importUsers(ctx context.Context, users []harper.User, dryRun bool, report *importReport) error {
	list := make([]storage.Import, 0, len(users))
	for _, u := range users {
		list = append(list, storage.Import{
			User: storage.User{Name: u.Name, Role: u.Role, Active: u.Active, Scheme: u.Function, Created: u.Created, Updated: u.Updated},
			Hash: u.Hash, RefreshHash: u.RefreshHash,
		})
	}
	results, err := s.store.Users.ImportUsers(ctx, list, dryRun)
	if err != nil {
		return err
	}
	for _, r := range results {
		report.count("users", string(r.Outcome))
		if r.Err != nil {
			report.Refused = append(report.Refused, refusal{Name: r.Name, Reason: r.Err.Error()})
		}
	}
	return nil
}
