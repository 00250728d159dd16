package ui

import (
	"context"
	"io"
	"time"

	"kxops/alarms"
	"kxops/ops"
)

// Backend is what the console needs from the outside. Its methods are called
// from commands, never from the drawing loop; they must honour their context and
// may be called at the same time.
type Backend interface {
	// LastKnown returns the picture an earlier run left behind, at once and
	// without the network; ok is false when there is none.
	LastKnown() (snapshot ops.Snapshot, ok bool)
	// Collect looks at the account once. While a first look goes on it may hand
	// growing snapshots to partial, from any goroutine. A section that failed
	// says so in the snapshot; Collect itself does not fail.
	Collect(ctx context.Context, ask Ask, partial func(ops.Snapshot)) ops.Snapshot
	// Switch turns the backend to another profile or region; "" keeps the present
	// one. On an error the backend stays where it was.
	Switch(ctx context.Context, profile, region string) (ops.Identity, error)
	// Choices lists the profiles and regions that Switch may be asked for.
	Choices() Choices
	// Raw returns what AWS says about a resource, as JSON.
	Raw(ctx context.Context, resource ops.ARN) ([]byte, error)
}

// Ask says how closely the console is being watched, so that looking costs no
// more than it is worth.
type Ask struct {
	Focus   []ops.ARN // resources on the screen: they are read most often
	Blurred bool      // the terminal is not in front
	Paused  bool      // the person stopped the refresh; this look was asked for by hand
	Manual  bool      // asked for by key: fresh numbers are wanted
}

// Choices are the places a person may switch to.
type Choices struct {
	Profiles []string
	Regions  []string
}

// Options is everything the console is given.
type Options struct {
	Backend Backend
	Judge   func(ops.Snapshot, time.Time) []alarms.Verdict
	Config  Config
	Demo    string           // name of the demo scenario, "" on a real account
	Now     func() time.Time // nil: time.Now

	// Journal, Info and Policy are called when their screen opens, from the drawing
	// loop: they may read a file, they must not wait for the network.

	// Journal returns the operations recorded so far, newest first; nil: none.
	Journal func() ([]JournalEntry, error)
	// Info returns what `kxops info` prints: identity, files, what may be done
	// here; nil: only what the picture knows.
	Info func() string
	// Policy returns the least IAM policy of the present access level; nil: none.
	Policy func() string

	// Left is told, after the terminal was given back, which operations of this
	// console are not whole; nil: nobody wants to know.
	Left func([]ops.Progress)

	Input  io.Reader // nil: the terminal
	Output io.Writer // nil: the terminal
}

// Config is what a person set in the configuration file.
type Config struct {
	Theme     string              // "dark", "light" or "" to ask the terminal
	Keys      map[string][]string // action id -> keys, replacing the built-in ones
	Protected []Protection
	ASCII     bool          // draw with ASCII only
	Pace      time.Duration // the shortest time between two looks; 0: as the backend says
}

// Protection marks an account that must look different.
type Protection struct {
	Match string // profile name, account id or alias
	Word  string // shown in the header, "PROD" when empty
	Color string // "#rrggbb" or an ANSI number, red when empty
}

// JournalEntry is one recorded operation.
type JournalEntry struct {
	ID       string
	At       time.Time
	Who      string
	What     string // the operation in words
	Resource string
	Outcome  string
}
