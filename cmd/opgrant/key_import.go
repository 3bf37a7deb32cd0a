package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/storage"
)

// keyPair is a key that was read from files. The private part is nil where only the public one was there.
type keyPair struct {
	private crypto.Signer
	public  crypto.PublicKey
}

func (p *program) keyImportCommand() *cobra.Command {
	var passphraseFile string
	var verifyOnly bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Take over a key from PEM, which signs from now on",
		Long: `Take over a key from a PEM file: PKCS #8, encrypted or not, PKCS #1, SEC 1, or a public key (SPKI), which only
verifies. Tokens of it that carry no kid are honoured. The key that signed until now stays published until its last token
has expired. Importing a key again changes nothing.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			pair, err := p.readPEM(args[0], passphraseFile)
			if err != nil {
				return err
			}
			return p.withKeys(cmd.Context(), func(ctx context.Context, set *keys.Set) error {
				id, added, err := set.Import(ctx, pair.private, pair.public, verifyOnly)
				if err != nil {
					return err
				}
				if !added {
					fmt.Fprintln(p.stderr, "the key is there already")
				}
				fmt.Fprintln(p.stdout, id)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&passphraseFile, "passphrase-file", "", "file with the passphrase of an encrypted key (- is standard input)")
	cmd.Flags().BoolVar(&verifyOnly, "verify-only", false, "honour its tokens, but sign with the present key")
	return cmd
}

func (p *program) readPEM(path, passphraseFile string) (*keyPair, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	if public, err := keys.ParsePublic(text); err == nil {
		return &keyPair{public: public}, nil
	}
	signer, err := keys.ParsePrivate(text, nil)
	if errors.Is(err, keys.ErrPassphrase) {
		passphrase, err := p.readSecret(passphraseFile, "passphrase")
		if err != nil {
			return nil, err
		}
		signer, err = keys.ParsePrivate(text, []byte(passphrase))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return &keyPair{private: signer, public: signer.Public()}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &keyPair{private: signer, public: signer.Public()}, nil
}

// importReport is what an import did, or would do.
type importReport struct {
	Outcomes map[string]map[string]int `json:"outcomes"` // keys, roles, users → outcome → number
	Refused  []refusal                 `json:"refused,omitempty"`
	DryRun   bool                      `json:"dry_run"`
}

type refusal struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

func (r *importReport) count(what, outcome string) {
	if r.Outcomes[what] == nil {
		r.Outcomes[what] = map[string]int{}
	}
	r.Outcomes[what][outcome]++
}

func (s *state) importKey(ctx context.Context, pair *keyPair, from harperImport, report *importReport) error {
	id, err := keys.IDOf(pair.public)
	if err != nil {
		return err
	}
	list, err := s.keys.List(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(list, func(k keys.Info) bool { return k.ID == id }) {
		report.count("keys", string(storage.ImportUnchanged))
		return nil
	}
	report.count("keys", string(storage.ImportAdded))
	if from.dryRun {
		return nil
	}
	if err := s.keys.Open(ctx); err != nil {
		return err
	}
	_, _, err = s.keys.Import(ctx, pair.private, pair.public, from.verifyOnly)
	return err
}

func (p *program) printImport(r importReport) error {
	t := table{head: []string{"WHAT", "OUTCOME", "NUMBER"}, json: r}
	if r.DryRun {
		fmt.Fprintln(p.stderr, "dry run: nothing was changed")
	}
	for _, what := range []string{"keys", "roles", "users"} {
		for _, outcome := range []storage.ImportOutcome{
			storage.ImportAdded, storage.ImportUpdated, storage.ImportUnchanged, storage.ImportKept, storage.ImportRefused,
		} {
			if n := r.Outcomes[what][string(outcome)]; n > 0 {
				t.rows = append(t.rows, []string{what, string(outcome), fmt.Sprint(n)})
			}
		}
	}
	for _, refused := range r.Refused {
		fmt.Fprintf(p.stderr, "%s: %s\n", printable(refused.Name), printable(refused.Reason))
	}
	if err := p.print(t); err != nil {
		return err
	}
	if len(r.Refused) > 0 {
		return fmt.Errorf("%d users refused", len(r.Refused))
	}
	return nil
}
