// Package server is the program's server: package opgrant with a configuration, an embedded Redis for --dev, health checks,
// metrics and listeners around it. Run shows all of it.
//
// It also translates a configuration into what the parts take, for the server and for the commands, so that both see the same
// store.
package server
