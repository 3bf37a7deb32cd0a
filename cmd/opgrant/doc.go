// Command opgrant is the server and its administration.
//
//	opgrant serve --dev     both APIs on 127.0.0.1:9925, with the state in memory and a user for trying them
//	opgrant serve           the same with the state in Redis
//	opgrant help            the other commands
//
// The commands are in internal/cli and the server in internal/server; its function Run shows how the parts are put together.
package main
