// Package harper reads what a HarperDB server knows of its users and roles, from its operations API or from a file with the
// same rows: the way in for a migration. It changes nothing there, and it does not store what it reads.
package harper
