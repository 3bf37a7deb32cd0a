package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/compat/harper"
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
are kept as they are, and importing a file again changes nothing.

An entry that cannot be imported is reported with its number and does not stop the others; the exit code is then 1. With --dry-run
nothing is written, and report and exit code are those of the import.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return p.importUsers(cmd.Context(), args[0], dryRun) },
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only print what would happen")
	p.outputFlag(cmd)
	return cmd
}

func (p *program) importUsers(ctx context.Context, path string, dryRun bool) error {
	var report importReport
	users, rows, err := p.readUsers(path, &report)
	if err != nil {
		return err
	}
	use := p.withServer
	if dryRun {
		use = p.withStoreToRead
	}
	return use(ctx, func(ctx context.Context, s *opgrant.Server) error {
		shown := p.showProgress()
		defer shown.end()
		results, err := importInParts(ctx, s, users, dryRun, shown)
		if err != nil {
			return err
		}
		shown.end()
		for i, r := range results {
			if r.Err != nil {
				report.refuse(reportUsers, rows[i], r.Name, r.Err)
			} else {
				report.count(reportUsers, r.Outcome)
			}
		}
		return p.reportImport(report)
	})
}

// readUsers returns the users of a file and where each is. Entries that cannot be read go to the report.
func (p *program) readUsers(path string, report *importReport) (list []storage.Import, rows []harper.Row, err error) {
	in := p.Stdin
	if path != "-" {
		f, err := os.Open(path) // #nosec G304 -- the operator names the file
		if err != nil {
			return nil, nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	decoder, seen := json.NewDecoder(in), map[string]harper.Row{}
	for number := 1; ; number++ {
		var raw json.RawMessage
		err := decoder.Decode(&raw)
		at := harper.Row{Source: path, Number: number}
		switch {
		case errors.Is(err, io.EOF) && number == 1:
			return nil, nil, fmt.Errorf("%s: no users", path)
		case errors.Is(err, io.EOF):
			return list, rows, nil
		case err != nil:
			return nil, nil, fmt.Errorf("%s: %w", at, err)
		}
		u, err := decodeImportedUser(raw)
		if first, twice := seen[u.Username]; err == nil && twice {
			err = comesTwice(first)
		}
		if err != nil {
			report.refuse(reportUsers, at, u.Username, err)
			continue
		}
		seen[u.Username] = at
		rows = append(rows, at)
		list = append(list, storage.Import{
			User: storage.User{Name: u.Username, Role: u.Role, Scheme: u.Scheme, Active: u.Active == nil || *u.Active},
			Hash: u.Hash,
		})
	}
}

// decodeImportedUser reads one entry. Its error tells nothing of the values.
func decodeImportedUser(raw json.RawMessage) (importedUser, error) {
	var u importedUser
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&u)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		kind, _, _ := strings.Cut(wrong.Value, " ")
		return u, fmt.Errorf("%s: a JSON %s where %s is expected", wrong.Field, kind, wrong.Type)
	case err != nil:
		return u, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	case u.Username == "":
		return u, errors.New("no username")
	case !utf8.Valid(raw) || strings.ContainsRune(u.Username, utf8.RuneError):
		return u, errors.New("username: not Unicode")
	}
	return u, nil
}

// reportImport prints the refused users and counts the others.
func (p *program) reportImport(r importReport) error {
	p.printLines(r.refusedLines())
	count := r.Outcomes[reportUsers]
	t := table{head: []string{"OUTCOME", "USERS"}, json: count}
	for _, outcome := range []storage.ImportOutcome{
		storage.ImportAdded, storage.ImportUpdated, storage.ImportUnchanged, storage.ImportKept, storage.ImportRefused,
	} {
		t.rows = append(t.rows, []string{string(outcome), fmt.Sprint(count[string(outcome)])})
	}
	if err := p.print(t); err != nil {
		return err
	}
	return r.refusedError("user")
}
