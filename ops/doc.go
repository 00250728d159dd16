// Package ops holds the words of the domain: what a stream, a delivery, a queue
// or a function is, what was read about it and how sure we are, how the parts
// link into pipelines, and how long it takes until data is lost.
//
// It imports nothing but the standard library: no AWS SDK, no terminal. Every
// value in it can be built by hand in a test.
//
// Read the files in this order: reading.go (a number that may be unknown),
// resource.go (the things), snapshot.go (one look at an account), link.go (what
// feeds what), loss.go (time to loss), problem.go (what went wrong and what to
// do about it), price.go (what a look costs).
package ops
