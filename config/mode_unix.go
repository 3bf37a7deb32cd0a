//go:build unix

package config

import (
	"io/fs"
	"os"
	"syscall"
)

// othersHaveAccess tells whether a file is open to more users than the one who runs this process. Its group may read it where the
// process does not own the file: that is how it is read. A pipe or a device has no content of its own.
func othersHaveAccess(info fs.FileInfo) bool {
	if !info.Mode().IsRegular() {
		return false
	}
	allowed := fs.FileMode(0o700)
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		allowed |= 0o070
	}
	return info.Mode().Perm()&^allowed != 0
}
