package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"kxops/alarms"
)

func newAlarmsExport(s *session) *cobra.Command {
	var scope scopeFlags
	format := choiceFlag{allowed: []string{"terraform", "cloudformation", "json"}}
	var out string
	c := &cobra.Command{
		Use:   "export",
		Short: "The alarms that should exist, as Terraform, CloudFormation or JSON",
		Long: `Writes the alarms that kxops would make, with the same names, thresholds and topics, for
those who keep them in code. It only reads. Use one or the other: what your code creates
under these names is not kxops's, and counts as covered.

Exit codes: 0 done · 1 error · 2 wrong usage · 3 something could not be read, so an alarm
may be missing in the export.`,
		Example: "  kxops alarms export --format terraform --topic oncall --out alarms.tf",
		Args:    takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case format.value == "":
				return wrongUsage("say --format " + orList(format.allowed))
			case c.Flags().Changed("out") && out == "":
				return wrongUsage("--out needs the name of a file")
			}
			if err := scope.check(c); err != nil {
				return err
			}
			return s.alarmsExport(c.Context(), scope, format.value, out)
		},
	}
	scope.register(c)
	scope.registerTopics(c)
	c.Flags().Var(&format, "format", "terraform, cloudformation or json")
	c.Flags().StringVar(&out, "out", "", "into this new file; default: stdout")
	completeWith(c, "format", format.allowed)
	return c
}

func (s *session) alarmsExport(ctx context.Context, scope scopeFlags, format, out string) error {
	r, err := s.lookedAround(ctx)
	if err != nil {
		return err
	}
	ask, err := r.wish(ctx, scope)
	if err != nil {
		return err
	}
	specs, skipped, err := r.wanted(ctx, ask)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := alarms.Export(&b, format, specs, ask.Settings); err != nil {
		return err
	}
	if format == "cloudformation" && b.Len() > alarms.TemplateBody {
		r.say(fmt.Sprintf("the template has %s bytes; over %s AWS takes it from a bucket only: aws cloudformation deploy --s3-bucket BUCKET, or export pipeline by pipeline",
			thousands(b.Len()), thousands(alarms.TemplateBody)))
	}
	if out == "" {
		err = s.printText(b.String())
	} else if err = writeNew(out, b.Bytes()); err == nil {
		r.say(fmt.Sprintf("%s are in %s", countOf(len(specs), "alarm"), out))
	}
	if err != nil {
		return err
	}
	var unknown []string
	for _, k := range skipped {
		if k.Unknown {
			unknown = append(unknown, "not exported: "+k.Rule+" "+k.Resource.Name()+": "+k.Why)
		}
	}
	r.say(unknown...)
	if len(unknown) > 0 || r.snapshot.Partial() {
		return &exitWith{code: exitPartial}
	}
	return nil
}

// writeNew writes a new file that only its owner can read; it never overwrites.
func writeNew(path string, content []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, neverOverwritten(path, err))
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(path)))
		}
	}()
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Sync()
}
