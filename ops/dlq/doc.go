// Package dlq works on dead letters: look at them under a lease without harm,
// understand why they are there, and send them on, archive or edit them without
// losing one.
//
// The protocol for everything that changes is: send, record, then delete. What
// is recorded as sent is never sent again; what is not recorded as sent is never
// deleted; what cannot be known is named.
//
// What this guarantees: no message is lost; none is doubled silently; on a FIFO
// target each arrives exactly once if an interrupted operation is resumed within
// five minutes. Nothing stronger: on a standard queue a message whose answer did not
// come may be at the target or not. It stays where it was and is named.
//
// Read the files in this order: desk.go (where the work is done), describe.go
// (the queue), look.go, pile.go, release.go and memory.go (receive, hold, give
// back), cause.go and select.go (why, and which), plan.go (what would be done),
// preflight.go and consumer.go (what would go wrong; is the fix out?), operation.go
// (doing it: lock, record, pause, resume), redrive.go (the protocol), send.go and send_*.go (where to), move.go
// (SQS's own tasks), archive.go and edit.go, pointer.go and poison.go (letters
// whose data is in a stream).
package dlq
