//go:build !unix

package config

import "io/fs"

// othersHaveAccess is not known where files have no mode.
func othersHaveAccess(fs.FileInfo) bool { return false }
