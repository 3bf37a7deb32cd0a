package cli

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
)

func (p *program) importCommand() *cobra.Command {
	return group("import", "Import data of another server", p.importHarperCommand())
}

// harperImport tells where to read and what to do with it.
type harperImport struct {
	keys                  string
	sources               []string // --from
	user, passwordFile    string
	verifyOnly, dryRun    bool
	removeGone, allowHTTP bool
	last                  string    // --until
	until                 time.Time // the same as a time, zero for the default
}

func (p *program) importHarperCommand() *cobra.Command {
	var from harperImport
	cmd := &cobra.Command{
		Use:   "harper",
		Short: "Import keys, roles and users of a HarperDB server",
		Long: `Import keys, roles and users of a HarperDB server. Users stay logged in: tokens that the old server signed are accepted
until they expire, it accepts tokens signed here, and passwords stay valid.

  --from URL --user U  roles and users, read from the running server by one of its super users
  --from FILE          the same rows as JSON: what search_by_value or sql answers for system.hdb_user and system.hdb_role. The
                       answer of list_roles will do for roles; that of list_users is refused, since it has no passwords
  --keys DIR           its key pair: .jwtPrivate.key, .jwtPass and .jwtPublic.key of its keys folder; --until names its last day

Each may be given, in any combination. Users and roles that were added or changed here are kept as they are. The others follow
the old server with each further import: password, role, state and what a role may do. Who is gone there is reported, and with
--remove-gone removed here, which ends all sessions; a later import brings back whoever is there again. Name every source of the
old server then, for example --from users.json --from roles.json.

A row that cannot be imported is reported with its number and does not stop the others. Roles come first, and the keys last: tokens
of the old server are not accepted before its users are here. An import that was interrupted can be run again.

Exit code: 0 if everything was imported, 1 if a row was refused or nothing could be done. With --dry-run nothing is written, and
report and exit code are those of the import.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.importHarper(cmd.Context(), from) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&from.sources, "from", nil, "operations URL of the running server, or file of rows (- is standard input); may be given more than once")
	f.StringVar(&from.user, "user", "", "super user of that server")
	f.StringVar(&from.passwordFile, "password-file", "", "file with that user's password (- is standard input)")
	f.BoolVar(&from.allowHTTP, "allow-http", false, "read from an http:// URL on another host, unencrypted")
	f.StringVar(&from.keys, "keys", "", "folder with the server's key pair")
	f.StringVar(&from.last, "until", "", untilUsage)
	f.BoolVar(&from.verifyOnly, "verify-only", false, "accept its tokens, but sign with keys of this server")
	f.BoolVar(&from.removeGone, "remove-gone", false, "remove users and roles that were imported and that the server no longer has")
	f.BoolVar(&from.dryRun, "dry-run", false, "only print what would happen")
	p.outputFlag(cmd)
	return cmd
}

func (from harperImport) check() error {
	switch {
	case from.keys == "" && len(from.sources) == 0:
		return errors.New("nothing to import: give --from or --keys")
	case from.removeGone && len(from.sources) == 0:
		return errors.New("--remove-gone needs --from: all users and roles of the old server")
	case from.passwordFile == "-" && slices.Contains(from.sources, "-"):
		return errors.New("--from and --password-file cannot both be standard input")
	}
	return nil
}

func (p *program) importHarper(ctx context.Context, from harperImport) error {
	if err := from.check(); err != nil {
		return err
	}
	var err error
	if from.until, err = parseUntil(from.last, time.Now()); err != nil {
		return err
	}
	var pair *keyPair
	if from.keys != "" {
		if pair, err = readKeyPair(from.keys); err != nil {
			return err
		}
	}
	shown := p.showProgress()
	defer shown.end()
	export, err := p.readHarper(ctx, from, shown)
	if err != nil {
		return err
	}
	use := p.withServer
	if from.dryRun {
		use = p.withStoreToRead
	}
	return use(ctx, func(ctx context.Context, s *opgrant.Server) error {
		i := &importer{server: s, options: from, shown: shown}
		report, err := i.run(ctx, export, pair)
		shown.end()
		if err != nil {
			return err
		}
		return p.printImport(report)
	})
}
