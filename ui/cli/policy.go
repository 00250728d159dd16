package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"kxops/ops/cloud"
)

func newPolicy(s *session) *cobra.Command {
	var account string
	c := &cobra.Command{
		Use:   "policy LEVEL",
		Short: "The least IAM policy for an access level: look, peek or change",
		Long: `Prints the least IAM policy that kxops needs at an access level, as JSON that
"aws iam create-policy --policy-document" takes. It is made from the list that
guards every call, so it allows what kxops may call at that level and nothing else.`,
		Example:   "  kxops policy look > kxops-look.json\n  kxops policy change --account 123456789012",
		Args:      oneOf("look", "peek", "change"),
		ValidArgs: []string{"look", "peek", "change"},
		RunE: func(_ *cobra.Command, args []string) error {
			level, err := cloud.ParseLevel(args[0])
			if err != nil {
				return wrongUsage(err.Error())
			}
			policy, err := cloud.Policy(level, account)
			if err != nil {
				return wrongUsage(err.Error())
			}
			_, err = fmt.Fprintf(s.Out, "%s\n", policy)
			return err
		},
	}
	c.Flags().StringVar(&account, "account", "", "account id for the resource patterns; default: any account")
	return c
}
