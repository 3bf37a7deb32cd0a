package cli

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant/authserver/keys"
)

// keyPair is a key that was read from files. private is nil where there was only a public key.
type keyPair struct {
	private crypto.Signer
	public  crypto.PublicKey
}

func (p *program) keyImportCommand() *cobra.Command {
	var passphraseFile, last string
	var verifyOnly bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Import a key from a PEM file and sign with it from now on",
		Long: `Import a key from a PEM file: PKCS #8, encrypted or not, PKCS #1, SEC 1, or a public key (SPKI), which only
verifies. Its tokens are accepted even without a kid and without a session, until the day that --until names. A key that signs is
replaced by a new one by then. The previous signing key stays published until its last token has expired. Importing a key again
changes nothing, except with --until its last day. A revoked key is refused.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			until, err := parseUntil(last, time.Now())
			if err != nil {
				return err
			}
			pair, err := p.readPEM(args[0], passphraseFile)
			if err != nil {
				return err
			}
			return p.withKeys(cmd.Context(), func(ctx context.Context, set *keys.Set) error {
				id, added, err := set.Import(ctx, pair.private, pair.public, verifyOnly, until)
				if err != nil {
					return err
				}
				if !added {
					fmt.Fprintln(p.Stderr, "the key already exists")
				}
				fmt.Fprintln(p.Stdout, id)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&passphraseFile, "passphrase-file", "", "file with the passphrase of an encrypted key (- is standard input)")
	cmd.Flags().StringVar(&last, "until", "", untilUsage)
	cmd.Flags().BoolVar(&verifyOnly, "verify-only", false, "accept its tokens, but keep signing with the present key")
	return cmd
}

func (p *program) readPEM(path, passphraseFile string) (*keyPair, error) {
	text, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
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
