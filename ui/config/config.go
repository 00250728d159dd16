// Package config is what a person may set: looks, keys, and what is special
// about an account. Everything has a default; there is no key for a taste.
//
// Read the files in this order: config.go (the settings), read.go (how a file
// becomes settings, and how a mistake is told), alarms.go, sample.toml (every setting, with
// its meaning).
package config

import (
	"cmp"
	_ "embed"
	"path/filepath"
	"time"

	"github.com/adrg/xdg"

	"kxops/alarms"
)

// Sample is a configuration file with every setting and its meaning. All of it
// is commented out: as it stands it changes nothing.
//
//go:embed sample.toml
var Sample string

// Config is a configuration file. The zero Config is every default.
type Config struct {
	File string // where it was read from, "" when there is none

	Theme    string // dark, light or "" to ask the terminal
	ASCII    bool
	Keys     map[string][]string // action id -> keys
	Defaults Settings
	Profiles []Profile

	Overrides []alarms.Override // what is different about single alarms, in all accounts

	places places
}

// Settings may be set for all accounts and again for one.
type Settings struct {
	Access  string        // look, peek, change or "" for the default
	Pace    time.Duration // shortest time between two looks; 0: the survey's own
	Budget  float64       // USD an hour that looking may cost; 0: no limit
	Buckets []string      // buckets to look at besides those that a delivery names
	Alarms  Alarms
}

// Profile is what is special about one account.
type Profile struct {
	Name      string // AWS profile that it is about, or
	Account   string // account id that it is about
	Alias     string // display name
	Protected bool   // production: looks different, and access is look unless asked for
	Word      string // shown in the header of a protected account
	Color     string // of that word: #rrggbb or an ANSI number
	Settings
}

// Path returns the default place of the file in the user's configuration directory.
func Path() string { return filepath.Join(xdg.ConfigHome, "kxops", "config.toml") }

// For returns the settings of an AWS profile and account; either may be "" when
// it is not known (yet). A later [[profile]] overrides an earlier one. In a
// protected account the access level for all accounts does not count: only what
// its own [[profile]] says.
func (c Config) For(profile, account string) Profile {
	out := Profile{Name: profile, Account: account, Settings: c.Defaults}
	out.Access = ""
	for _, p := range c.Profiles {
		if p.Name != "" && p.Name == profile || p.Account != "" && p.Account == account {
			out.add(p)
		}
	}
	if out.Access == "" && out.Protected {
		out.Access = "look"
	}
	override(&out.Access, cmp.Or(out.Access, c.Defaults.Access))
	return out
}

func (p *Profile) add(q Profile) {
	p.Protected = p.Protected || q.Protected
	override(&p.Alias, q.Alias)
	override(&p.Word, q.Word)
	override(&p.Color, q.Color)
	override(&p.Access, q.Access)
	override(&p.Pace, q.Pace)
	override(&p.Budget, q.Budget)
	p.Alarms = p.Alarms.With(q.Alarms)
	if len(q.Buckets) > 0 {
		p.Buckets = q.Buckets
	}
}

func override[T comparable](to *T, with T) {
	var unset T
	if with != unset {
		*to = with
	}
}

// MayBeProtected reports whether an account that is not known yet could turn out
// to be protected: some [[profile]] protects by account id.
func (c Config) MayBeProtected() bool {
	for _, p := range c.Profiles {
		if p.Protected && p.Account != "" {
			return true
		}
	}
	return false
}
