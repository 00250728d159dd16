// Package conformance holds one list of cases for every AWS call that kxops
// makes: SDK client in, typed results out. It runs against the sandbox always,
// and against emulators that nobody here wrote when KXOPS_CONFORMANCE names them
// ("name=endpoint,…", printed by .ci/emulators.sh), so that the sandbox does not
// grade itself.
//
// The package has only tests. Read them in this order: conformance_test.go (how a
// case runs), target_test.go (against what, and what each emulator cannot serve),
// then the cases, a file for each service, and faults_test.go (what only the
// sandbox can do: throttle, deny, expire, break).
package conformance
