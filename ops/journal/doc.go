// Package journal remembers what was done: by whom, where, why, and what became
// of it. It is a file of JSON lines that is only ever appended to, in the XDG
// state directory, readable by its owner alone. It also holds the locks that keep
// two operations off the same resource.
//
// It survives what happens to such files: a crash in the middle of a line, a
// full disk, two programs at once.
//
// Read the files in this order: entry.go (one line), journal.go (append and
// read), lock.go (one at a time).
package journal
