// Package sandbox is AWS on loopback: the services of an event pipeline, spoken
// over their real wire protocols, so that unmodified SDK clients, their retries
// and their paginators are what runs in the demo, the labs and the tests.
//
// It is held to AWS's documented behaviour, not to what is convenient for our
// own client. It keeps everything in memory, bounded, and forgets it on exit.
//
// Read the files in this order: sandbox.go (the door), kernel.go (one clock, one
// lock, one queue of events), region.go (the services of one region and how they
// reach each other), wire.go and http.go (protocols), faults.go and bill.go, then
// a service: sqs.go, kinesis.go …; scenario.go last.
package sandbox
