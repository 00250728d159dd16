package conformance

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

var identityCases = []oneCase{
	{name: "says who calls", service: "STS", operation: "GetCallerIdentity", run: func(x *run) {
		out, err := x.sts.GetCallerIdentity(x.ctx, &sts.GetCallerIdentityInput{})
		x.must("GetCallerIdentity", err)
		if account := aws.ToString(out.Account); len(account) != 12 || strings.Trim(account, "0123456789") != "" {
			x.errorf("account %q is not twelve digits", account)
		}
		if !strings.HasPrefix(aws.ToString(out.Arn), "arn:aws:") {
			x.errorf("caller %q is no ARN", aws.ToString(out.Arn))
		}
	}},
}
