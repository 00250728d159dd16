// Package cloud is the door to AWS. Every client that kxops uses is made from
// one configuration, so every call passes the same three guards: the gate (is
// this operation allowed here?), the quota (is it our turn?) and the meter (what
// did it cost?). What goes wrong comes back as one sentence and one next step.
//
// Read the files in this order: open.go (the door), gate.go (the guards on a
// call), operations.go (THE list of operations), meter.go (money), quota.go (the
// documented rates), explain.go (errors as a person reads them), places.go
// (profiles and regions), policy.go (the least IAM policy of a level).
package cloud
