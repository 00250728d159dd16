// Package replay sends old events again, on purpose and with proof.
//
//	source -> pages -> select -> map -> lanes -> target -> receipts -> checkpoint
//
// Read contract.go first: what a source and a target are. plan.go freezes a
// selection; run.go carries it out; select.go is the cascade of filters; lane.go keeps
// the order of each key; ledger.go and record.go remember, in receipts and checkpoints, what is
// done; verify.go proves it. A new source is one source_x.go and a line in sources.go,
// a new target one target_x.go and a line in targets.go.
package replay
