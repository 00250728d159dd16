package cloud

import (
	"errors"

	"kxops/ops"
)

var errNoCredentials = errors.New("no AWS credentials")

// Place says where a call went, for the sentence that explains its failure.
type Place struct {
	Profile  string
	Region   string
	Endpoint string // "" for AWS
}

// Explain turns any error of the SDK into one sentence and one next step. It
// returns nil for nil.
func Explain(err error, at Place) *ops.Problem {
	return ops.AsProblem(err)
}
