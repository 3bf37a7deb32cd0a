// Package cli is the command line of opgrant: commands, flags and output. A command reads the configuration, opens the store that
// it names and does one thing; the command serve runs package server.
package cli
