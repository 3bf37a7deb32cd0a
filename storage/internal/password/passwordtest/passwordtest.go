// Package passwordtest makes stored passwords of other servers for tests, with implementations other than those that verify
// them.
package passwordtest

import (
	"crypto/md5" // #nosec G501 -- HarperDB uses it
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"golang.org/x/crypto/argon2"

	"github.com/opgrant/opgrant/authserver/policy"
)

// Cheap are password costs for tests that are not about costs.
var Cheap = policy.PasswordCosts{InsecureCheap: true, MemoryKiB: 64, Iterations: 1, Parallelism: 1}

// The salts of the HarperDB hashes.
const (
	Salt9  = "aB3dE6gH9"
	Salt16 = "aB3dE6gH9jK2mN5p"
)

// HarperMD5 is what HarperDB stores with hash_function md5.
func HarperMD5(password string) string {
	sum := md5.Sum([]byte(password + Salt9)) // #nosec G401 -- see above
	return Salt9 + hex.EncodeToString(sum[:])
}

// HarperSHA256 is what HarperDB stores with hash_function sha256.
func HarperSHA256(password string) string {
	sum := sha256.Sum256([]byte(password + Salt16))
	return Salt16 + hex.EncodeToString(sum[:])
}

// Harper returns what HarperDB stores for a password, by hash_function. HarperDB's argon2id uses 64 MiB instead of 64 KiB, which
// the tests need not wait for.
func Harper(password string) map[string]string {
	return map[string]string{
		"md5":      HarperMD5(password),
		"sha256":   HarperSHA256(password),
		"argon2id": Salt16 + Argon2(password, Salt16, 64, 3, 4),
	}
}

// Argon2 is argon2id as a PHC string.
func Argon2(password, salt string, memory, passes uint32, lanes uint8) string {
	key := argon2.IDKey([]byte(password), []byte(salt), passes, memory, lanes, 32)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", memory, passes, lanes, b64([]byte(salt)), b64(key))
}
