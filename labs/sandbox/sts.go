package sandbox

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func newSTS(r *Region) {
	handle(r, "sts", "GetCallerIdentity", func(context.Context, *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
		return &sts.GetCallerIdentityOutput{
			Account: aws.String(Account),
			Arn:     aws.String(caller),
			UserId:  aws.String("AROASANDBOX:sandbox"),
		}, nil
	})
}
