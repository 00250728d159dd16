package cli

import (
	"kxops/ui"
	"kxops/ui/config"
)

// protections are the accounts that must look different in the console.
func protections(profiles []config.Profile) []ui.Protection {
	var out []ui.Protection
	for _, p := range profiles {
		if !p.Protected {
			continue
		}
		for _, match := range []string{p.Name, p.Account, p.Alias} {
			if match != "" {
				out = append(out, ui.Protection{Match: match, Word: p.Word, Color: p.Color})
			}
		}
	}
	return out
}
