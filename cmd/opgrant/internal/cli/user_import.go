package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/storage"
)

// importedUser is one line of the file that `user import` reads.
type importedUser struct {
	Username string `json:"username"`
	Hash     string `json:"password_hash"`
	Scheme   string `json:"scheme"`
	Role     string `json:"role"`
	Active   *bool  `json:"active"`
}

func (p *program) userImportCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Import users with their password hashes (- is standard input)",
		Long: `Import users with their password hashes. The file has one JSON object after the other:

  {"username":"alice","password_hash":"$argon2id$v=19$…","role":"reader","active":true}

argon2id, bcrypt, scrypt and PBKDF2 are recognised by their prefix; "scheme" names HarperDB's own forms (md5, sha256,
argon2id). A hash of another scheme is replaced by argon2id at the user's next login. Users who were added or changed here
are kept as they are, and importing a file again changes nothing.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			users, err := p.readUsers(args[0])
			if err != nil {
				return err
			}
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				results, err := s.Store.Users.ImportUsers(ctx, users, dryRun)
				if err != nil {
					return err
				}
				return p.reportImport(results)
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only print what would happen")
	p.outputFlag(cmd)
	return cmd
}

func (p *program) readUsers(path string) ([]storage.Import, error) {
	in := p.Stdin
	if path != "-" {
		f, err := os.Open(path) // #nosec G304 -- the operator names the file
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	decoder := json.NewDecoder(in)
	decoder.DisallowUnknownFields()
	var list []storage.Import
	for {
		var u importedUser
		err := decoder.Decode(&u)
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: user %d: %w", path, len(list)+1, err)
		}
		list = append(list, storage.Import{
			User: storage.User{Name: u.Username, Role: u.Role, Scheme: u.Scheme, Active: u.Active == nil || *u.Active},
			Hash: u.Hash,
		})
	}
}

// reportImport prints the refused users by name and counts the others.
func (p *program) reportImport(results []storage.ImportResult) error {
	count := map[storage.ImportOutcome]int{}
	for _, r := range results {
		count[r.Outcome]++
		if r.Err != nil {
			fmt.Fprintf(p.Stderr, "%s: %v\n", printable(r.Name), r.Err)
		}
	}
	t := table{head: []string{"OUTCOME", "USERS"}, json: count}
	for _, outcome := range []storage.ImportOutcome{
		storage.ImportAdded, storage.ImportUpdated, storage.ImportUnchanged, storage.ImportKept, storage.ImportRefused,
	} {
		t.rows = append(t.rows, []string{string(outcome), fmt.Sprint(count[outcome])})
	}
	if err := p.print(t); err != nil {
		return err
	}
	if n := count[storage.ImportRefused]; n > 0 {
		return fmt.Errorf("%d users refused", n)
	}
	return nil
}
