// Package wiretest replays recorded exchanges of the operations API against a server and tells every difference.
//
// The exchanges are those of compat/testdata/wire-cases.json, recorded from the open-source server that old clients were
// written for. They come in sequences: within one, and from sequence 1 to 4, earlier exchanges create the users and tokens
// that later ones use; sequence 5 wants a server whose tokens live for seconds.
//
// An exchange is equal, or different on purpose, which [Differences] has to name with its reason and with what is answered
// instead, or different, which fails the test. Compared are the status, the body with its tokens and times as placeholders,
// the headers that clients act on, and each recorded header and claim of a token; further claims are no difference.
package wiretest
