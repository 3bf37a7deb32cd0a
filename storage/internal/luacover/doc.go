// Package luacover tests Lua scripts of the store on a real redis-server, and tells which of their branches ran. It is for tests.
//
// A package with scripts has one test, TestScripts, that calls Run with a table for each script: the state before, the keys and
// arguments, the reply, the state after. Run sends each script as it is, but with a counter in each branch. It fails for a branch
// that no case reaches, for a script of the package without a table or without documentation, and for a case that ends in another
// state when the script runs again, which is what happens when a reply is lost.
//
//	go test ./storage/... -run TestScripts -v
//
// prints the branches of each script. A branch is what stands after then, else, do and repeat, the else that an if does not have,
// the body of a function, and the right side of "and" and "or".
package luacover
