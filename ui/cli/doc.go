// Package cli is the command line: it reads flags and the configuration, wires
// the rooms of the program together and prints. Data goes to stdout, talk to
// stderr, and what happened into the exit code; scripts rely on all three.
//
// Read the files in this order: run.go (one command line, one exit code),
// exit.go (the codes and how an error is told), flags.go (what every command
// takes), commands.go (THE list of commands), then any command: one file each.
package cli
