package cli

import "github.com/spf13/cobra"

var shells = []string{"bash", "zsh", "fish", "powershell"}

func newCompletion(s *session) *cobra.Command {
	return &cobra.Command{
		Use:       "completion SHELL",
		Short:     "Completion script for bash, zsh, fish or powershell",
		Example:   "  source <(kxops completion bash)\n  kxops completion zsh > \"${fpath[1]}/_kxops\"",
		Args:      oneOf(shells...),
		ValidArgs: shells,
		RunE: func(c *cobra.Command, args []string) error {
			root := c.Root()
			switch args[0] {
			case "zsh":
				return root.GenZshCompletion(s.Out)
			case "fish":
				return root.GenFishCompletion(s.Out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(s.Out)
			}
			return root.GenBashCompletionV2(s.Out, true)
		},
	}
}
