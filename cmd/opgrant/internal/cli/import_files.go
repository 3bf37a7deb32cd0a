package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/compat/harper"
)

// readHarper reads what --from names.
func (p *program) readHarper(ctx context.Context, from harperImport, shown *progress) (*harper.Export, error) {
	export := &harper.Export{}
	for _, source := range from.sources {
		if isURL(source) {
			fetched, err := p.fetchHarper(ctx, source, from, shown)
			if err != nil {
				return nil, err
			}
			export.Add(fetched)
			continue
		}
		if err := p.readHarperFile(source, export); err != nil {
			return nil, err
		}
	}
	return export, nil
}

func isURL(source string) bool {
	return strings.HasPrefix(source, "http://") || strings.HasPrefix(source, "https://")
}

func (p *program) fetchHarper(ctx context.Context, source string, from harperImport, shown *progress) (*harper.Export, error) {
	if from.user == "" {
		return nil, errors.New("--from URL needs --user: the name of a super user of that server")
	}
	if !from.allowHTTP && crossesNetwork(source) {
		return nil, errors.New("--from is http:// on another host: the super user's password and the hashes of all users would cross the " +
			"network unencrypted. Use https:// or a tunnel, or accept that with --allow-http")
	}
	password, err := p.readPassword(from.passwordFile, "password of "+from.user)
	if err != nil {
		return nil, err
	}
	shown.set("reading roles and users from the server")
	return harper.Source{URL: source, Username: from.user, Password: password}.Fetch(ctx)
}

// crossesNetwork tells whether a URL is http on another host than this one.
func crossesNetwork(source string) bool {
	u, err := url.Parse(source)
	if err != nil || u.Scheme != "http" {
		return false // Fetch reports what is wrong with it
	}
	address, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() != "localhost" && (err != nil || !address.Unmap().IsLoopback())
}

func (p *program) readHarperFile(path string, export *harper.Export) error {
	if path == "-" {
		return export.Read("standard input", p.Stdin)
	}
	raw, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
	if err != nil {
		return err
	}
	return export.Read(path, bytes.NewReader(raw))
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
