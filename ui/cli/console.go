package cli

import "github.com/spf13/cobra"

// console opens the console on the AWS account.
func (s *session) console(c *cobra.Command, _ []string) error {
	return c.Help()
}
