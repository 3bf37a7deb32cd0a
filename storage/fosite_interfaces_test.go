package storage_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/handler/pkce"
	"github.com/ory/fosite/handler/rfc7523"
	"github.com/ory/fosite/handler/verifiable"
	fositestorage "github.com/ory/fosite/storage"

	"github.com/opgrant/opgrant/storage"
)

// fositeInterfaces are all that fosite asks of a store, by package and name, and the part of this store that has them. Those of
// several parts are of the whole store alone.
var fositeInterfaces = map[string]struct {
	contract reflect.Type
	part     any
}{
	"fosite.Storage":                                      {reflect.TypeFor[fosite.Storage](), &storage.Clients{}},
	"fosite.ClientManager":                                {reflect.TypeFor[fosite.ClientManager](), &storage.Clients{}},
	"fosite.PARStorage":                                   {reflect.TypeFor[fosite.PARStorage](), &storage.Tokens{}},
	"oauth2.CoreStorage":                                  {reflect.TypeFor[oauth2.CoreStorage](), &storage.Tokens{}},
	"oauth2.AuthorizeCodeStorage":                         {reflect.TypeFor[oauth2.AuthorizeCodeStorage](), &storage.Tokens{}},
	"oauth2.AccessTokenStorage":                           {reflect.TypeFor[oauth2.AccessTokenStorage](), &storage.Tokens{}},
	"oauth2.RefreshTokenStorage":                          {reflect.TypeFor[oauth2.RefreshTokenStorage](), &storage.Tokens{}},
	"oauth2.TokenRevocationStorage":                       {reflect.TypeFor[oauth2.TokenRevocationStorage](), &storage.Tokens{}},
	"oauth2.ClientCredentialsGrantStorage":                {reflect.TypeFor[oauth2.ClientCredentialsGrantStorage](), &storage.Tokens{}},
	"oauth2.ResourceOwnerPasswordCredentialsGrantStorage": {reflect.TypeFor[oauth2.ResourceOwnerPasswordCredentialsGrantStorage](), &storage.Store{}},
	"openid.OpenIDConnectRequestStorage":                  {reflect.TypeFor[openid.OpenIDConnectRequestStorage](), &storage.Tokens{}},
	"pkce.PKCERequestStorage":                             {reflect.TypeFor[pkce.PKCERequestStorage](), &storage.Tokens{}},
	"rfc7523.RFC7523KeyStorage":                           {reflect.TypeFor[rfc7523.RFC7523KeyStorage](), &storage.Issuers{}},
	"verifiable.NonceManager":                             {reflect.TypeFor[verifiable.NonceManager](), &storage.Tokens{}},
	"storage.Transactional":                               {reflect.TypeFor[fositestorage.Transactional](), &storage.Tokens{}},
}

// The store implements every interface that fosite has for stores. One that a later fosite adds fails here.
func TestStoreImplementsAllOfFosite(t *testing.T) {
	for name, of := range fositeInterfaces {
		for what, v := range map[string]any{"the part": of.part, "the store": &storage.Store{}} {
			if !reflect.TypeOf(v).Implements(of.contract) {
				t.Errorf("%s: %T, %s, does not implement it", name, v, what)
			}
		}
	}
	found := storeInterfaces(t)
	for name := range found {
		if _, listed := fositeInterfaces[name]; !listed {
			t.Errorf("fosite has %s, which is not in the list", name)
		}
	}
	for name := range fositeInterfaces {
		if !found[name] {
			t.Errorf("%s is not in fosite's source: the test does not read all of it", name)
		}
	}
}

// storeInterfaces reads in fosite's source which interfaces are for stores, by their names.
func storeInterfaces(t *testing.T) map[string]bool {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/ory/fosite").Output()
	if err != nil || len(strings.TrimSpace(string(dir))) == 0 {
		t.Skipf("the source of fosite is not to be found: %v", err)
	}
	found := make(map[string]bool)
	err = filepath.WalkDir(strings.TrimSpace(string(dir)), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "internal" || entry.Name() == "integration") {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.IsExported() {
				if _, ok := spec.Type.(*ast.InterfaceType); ok && forStores(spec.Name.Name) {
					found[file.Name.Name+"."+spec.Name.Name] = true
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func forStores(name string) bool {
	for _, part := range []string{"Storage", "Store", "Manager", "Transactional", "Persister"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
