// Package wiretest replays recorded exchanges of the operations API against a server and reports every difference.
//
// The exchanges are those of compat/testdata/wire-cases.json, which were recorded from the open-source server that old clients
// were written for. They come in sequences. Within a sequence, and from sequence 1 to 4, earlier exchanges create the users and
// tokens that later ones use. Sequence 5 needs a server whose tokens expire after seconds.
//
// An exchange is equal; or it differs as [Differences] says, which gives the reason and the answer; or it differs otherwise,
// which fails the test. The status, the body, the headers that clients depend on, and every recorded header and claim of a token
// are compared. Tokens, UUIDs and times are replaced by placeholders first, and additional claims are ignored.
package wiretest
