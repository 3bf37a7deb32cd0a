package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/compat/harper"
)

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
			if err := export.Read(p.Stdin); err != nil {
				return nil, err
			}
			continue
		}
		raw, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
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

// readKeyPair reads the private key, or where there is none the public one, which only verifies.
func readKeyPair(dir string) (*keyPair, error) {
	private, err := os.ReadFile(filepath.Join(dir, harperPrivate)) // #nosec G304 -- the operator names the folder
	if errors.Is(err, os.ErrNotExist) {
		text, err := os.ReadFile(filepath.Join(dir, harperPublic)) // #nosec G304 -- likewise
		if err != nil {
			return nil, fmt.Errorf("%s: neither %s nor %s", dir, harperPrivate, harperPublic)
		}
		public, err := keys.ParsePublic(text)
		return &keyPair{public: public}, err
	}
	if err != nil {
		return nil, err
	}
	passphrase, err := os.ReadFile(filepath.Join(dir, harperPassphrase)) // #nosec G304 -- likewise
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	signer, err := keys.ParsePrivate(private, bytes.TrimRight(passphrase, "\r\n"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, harperPrivate), err)
	}
	return &keyPair{private: signer, public: signer.Public()}, nil
}
