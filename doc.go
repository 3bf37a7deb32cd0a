// Package opgrant is the whole server for programs that embed it: the OAuth endpoints and the operations API over one set of
// users, roles, clients, sessions and signing keys in Redis.
//
//	server, err := opgrant.New(opgrant.Config{
//		Issuer: "https://auth.example.org",
//		Redis:  storage.Connect(redis.UniversalOptions{Addrs: []string{"127.0.0.1:6379"}}),
//	})
//	go server.Run(ctx)
//	http.ListenAndServe(":9925", server)
//
// [New] returns a [Server], an [net/http.Handler]. [Server.Run] waits for Redis, opens the signing keys and keeps them
// up to date; until it has done so every request that needs them is answered 503. The parts are fields of the Server: create
// users and clients with its Store.
//
// The command opgrant is this package with a configuration file, metrics and listeners around it.
//
// # What is not here
//
// No listener, no TLS, no configuration file and no metrics. Besides the command, this is the one package that knows
// authserver, storage and compat, which know nothing of each other. A program that needs only one of them imports that one.
package opgrant
