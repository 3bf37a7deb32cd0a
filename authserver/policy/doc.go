// Package policy says what a client may do and how its sessions behave, and holds the names, bounds and defaults that the
// configuration, the command line, the store and the server share. Each stands here once, with the sentence that refuses
// what is out of bounds.
//
// It imports the standard library only, so that every other package of the module may import it.
//
// # Adding a grant
//
// A grant is one entry in the table of grant.go and one handler in package authserver.
package policy
