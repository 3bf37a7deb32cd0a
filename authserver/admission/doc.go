// Package admission admits work before it costs anything. A [Gate] lets a bounded number of pieces of work run at a time. Others
// wait in a queue that is bounded by how long they would wait, and what does not fit is refused at once, so that a server with
// more work than it can do answers what it can, and the rest with 503, instead of everything too late.
//
// A server has two gates ([New]): one for requests, which sign and ask the store, and one for password hashes, which take a
// core for as long as dozens of requests do. A login, or a refresh by an imported token, gives its place among the requests back
// while it waits for a hash, and a hash never waits for a request. So they cannot wait for each other.
package admission
