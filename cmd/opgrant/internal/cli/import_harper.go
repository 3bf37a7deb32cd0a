package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
)

func (p *program) importCommand() *cobra.Command {
	return group("import", "Import data of another server", p.importHarperCommand())
}

// harperImport tells where to read and what to do with it.
type harperImport struct {
	keys, url, user, passwordFile string
	files                         []string
	verifyOnly, dryRun            bool
	last                          string    // --until
	until                         time.Time // the same as a time, zero for the default
}

func (p *program) importHarperCommand() *cobra.Command {
	var from harperImport
	cmd := &cobra.Command{
		Use:   "harper",
		Short: "Import keys, roles and users of a HarperDB server",
		Long: `Import keys, roles and users of a HarperDB server. Users stay logged in: tokens that the old server signed are accepted
until they expire, it accepts tokens signed here, and passwords stay valid.

  --keys DIR          its key pair: .jwtPrivate.key, .jwtPass and .jwtPublic.key of its keys folder; --until names its last day
  --file FILE         rows of system.hdb_user and system.hdb_role as JSON, exported by search_by_value or sql
  --url URL --user U  the same rows, read from the running server by one of its super users

Each may be given, in any combination. Users and roles that were added or changed here are kept as they are, and a second
run changes nothing.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.importHarper(cmd.Context(), from) },
	}
	f := cmd.Flags()
	f.StringVar(&from.keys, "keys", "", "folder with the server's key pair")
	f.StringVar(&from.last, "until", "", untilUsage)
	f.BoolVar(&from.verifyOnly, "verify-only", false, "accept its tokens, but sign with keys of this server")
	f.StringArrayVar(&from.files, "file", nil, "file of rows (- is standard input); may be given more than once")
	f.StringVar(&from.url, "url", "", "operations URL of the running server")
	f.StringVar(&from.user, "user", "", "super user of that server")
	f.StringVar(&from.passwordFile, "password-file", "", "file with that user's password (- is standard input)")
	f.BoolVar(&from.dryRun, "dry-run", false, "only print what would happen")
	p.outputFlag(cmd)
	return cmd
}

func (p *program) importHarper(ctx context.Context, from harperImport) error {
	if from.keys == "" && from.url == "" && len(from.files) == 0 {
		return errors.New("nothing to import: give --keys, --file or --url")
	}
	var err error
	if from.until, err = parseUntil(from.last, time.Now()); err != nil {
		return err
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
	return p.withServer(ctx, func(ctx context.Context, s *opgrant.Server) error {
		i := importer{server: s, dryRun: from.dryRun, report: importReport{Outcomes: map[string]map[string]int{}, DryRun: from.dryRun}}
		if pair != nil {
			if err := i.importKey(ctx, pair, from.verifyOnly, from.until); err != nil {
				return err
			}
		}
		if err := i.importRoles(ctx, export.Roles); err != nil {
			return err
		}
		if err := i.importUsers(ctx, export.Users); err != nil {
			return err
		}
		return p.printImport(i.report)
	})
}
