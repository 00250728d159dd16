package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is set by the release build with -ldflags "-X kxops/ui/cli.release=v1.2.3".
var release string

type versionReport struct {
	Schema  string `json:"schema"`
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Built   string `json:"commit_time,omitempty"`
	Changed bool   `json:"changed_since_commit"`
	Go      string `json:"go"`
	System  string `json:"system"`
}

func newVersion(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Version, commit and build of this program",
		Args:  takes(0, 0),
		RunE: func(*cobra.Command, []string) error {
			v := thisVersion()
			if s.json() {
				return s.printJSON(v)
			}
			_, err := fmt.Fprintln(s.Out, v)
			return err
		},
	}
}

func thisVersion() versionReport {
	v := versionReport{
		Schema:  "kxops/version/v1",
		Version: release,
		Go:      runtime.Version(),
		System:  runtime.GOOS + "/" + runtime.GOARCH,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if v.Version == "" {
		v.Version = info.Main.Version
	}
	if v.Version == "" || v.Version == "(devel)" {
		v.Version = "devel"
	}
	for _, x := range info.Settings {
		switch x.Key {
		case "vcs.revision":
			v.Commit = x.Value
		case "vcs.time":
			v.Built = x.Value
		case "vcs.modified":
			v.Changed = x.Value == "true"
		}
	}
	return v
}

func (v versionReport) String() string {
	line := "kxops " + v.Version
	if v.Commit != "" {
		line += " (" + v.Commit[:min(12, len(v.Commit))] + changedMark(v.Changed) + ")"
	}
	return line + " " + v.Go + " " + v.System
}

func changedMark(changed bool) string {
	if changed {
		return ", changed"
	}
	return ""
}
