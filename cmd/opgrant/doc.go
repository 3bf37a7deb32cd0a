// Command opgrant is the server and its administration.
//
//	opgrant serve --dev     both doors on 127.0.0.1:9925, state in memory, a user to try them with
//	opgrant serve           the same on Redis
//	opgrant help            the other commands
//
// It is the only package that knows all the others: it reads a [config.Config],
// hands each part what that part wants, and joins them. main is thin, run takes
// its world as arguments, and the tests run the same run.
package main
