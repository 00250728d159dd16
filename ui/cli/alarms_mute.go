package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"kxops/alarms"
	"kxops/alarms/watch"
	"kxops/ops"
)

// The times for which a mute rule can be. Source: CloudWatch API, PutAlarmMuteRule.
const leastMute, mostMute = time.Minute, 15 * 24 * time.Hour

func newAlarmsMute(s *session) *cobra.Command {
	var span spanFlag
	c := &cobra.Command{
		Use:   "mute ALARM…",
		Short: "Keep alarms from acting for a while; they keep watching",
		Long: `Makes a mute rule of CloudWatch: the alarms go on being evaluated and show their state,
but their actions do not run until the time is over. An alarm that is still in ALARM then
acts then. ALARM is a name, or a pattern such as 'kxops/*/clicks'.

Needs --access change; asks, unless --yes.`,
		Example: `  kxops --access change alarms mute 'kxops/*/clicks' --for 2h --reason "resharding"
  kxops alarms mute ls
  kxops --access change alarms mute rm NAME`,
		Args: func(c *cobra.Command, args []string) error { return takes(1, 1000)(c, args) },
		RunE: func(c *cobra.Command, args []string) error {
			switch d := time.Duration(span); {
			case d == 0:
				return wrongUsage("say for how long: --for 2h")
			case d < leastMute || d > mostMute:
				return wrongUsage(fmt.Sprintf("--for must be %s to %s", ops.Span(leastMute.Seconds()), ops.Span(mostMute.Seconds())))
			}
			return s.alarmsMute(c.Context(), args, time.Duration(span))
		},
	}
	c.Flags().Var(&span, "for", "how long, 1m to 15d")
	c.AddCommand(newAlarmsMuteLs(s), newAlarmsMuteRm(s))
	return c
}

func (s *session) alarmsMute(ctx context.Context, words []string, d time.Duration) error {
	r, err := s.onRounds(ctx)
	if err != nil {
		return err
	}
	if err := firstError(r.mayChange(), r.look(ctx)); err != nil {
		return err
	}
	names, err := r.alarmsNamed(words)
	if err != nil {
		return err
	}
	from := watch.MuteBegins(r.account.clock())
	r.say(fmt.Sprintf("%s will not act from %s until %s; until then it still does:", countOf(len(names), "alarm"), from.Format(zoned), from.Add(d).Format(zoned)), "  "+some(names))
	if s.dryRun {
		return nil
	}
	if err := r.sure(ctx, "mute? y/N ", "y", "yes"); err != nil {
		return err
	}
	made, err := r.desk.Mute(ctx, names, d, s.reason)
	if err != nil {
		return err
	}
	return s.printMutes(made, r.account.clock())
}

func newAlarmsMuteLs(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "The mute rules here: which alarms, until when, why",
		Args:  takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := s.onRounds(c.Context())
			if err != nil {
				return err
			}
			mutes, err := r.desk.Mutes(c.Context())
			if err != nil {
				return err
			}
			return s.printMutes(mutes, r.account.clock())
		},
	}
}

func newAlarmsMuteRm(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "rm NAME",
		Short: "End a mute rule before its time",
		Long:  "Ends a mute rule. Alarms that are in ALARM then act. Needs --access change; asks, unless --yes.",
		Args:  takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := s.onRounds(c.Context())
			if err != nil {
				return err
			}
			if err := r.mayChange(); err != nil {
				return err
			}
			return r.unmute(c.Context(), args[0])
		},
	}
}

func (r *rounds) unmute(ctx context.Context, name string) error {
	mutes, err := r.desk.Mutes(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, m := range mutes {
		names = append(names, m.Name)
	}
	i := slices.Index(names, name)
	if i < 0 {
		p := &ops.Problem{Fault: ops.FaultNotFound, What: fmt.Sprintf("there is no mute rule %q here", name), Hint: "there are none"}
		if near := ops.Nearest(name, names, 3); len(near) > 0 {
			p.Hint = "did you mean " + orList(near) + "?"
		}
		return p
	}
	if !mutes[i].Ours {
		r.say("somebody else made this rule, not kxops")
	}
	r.say(fmt.Sprintf("%s act again at once: %s", countOf(len(mutes[i].Alarms), "alarm"), some(mutes[i].Alarms)))
	if r.dryRun {
		return nil
	}
	if err := r.sure(ctx, "end the mute rule? y/N ", "y", "yes"); err != nil {
		return err
	}
	if err := r.desk.Unmute(ctx, name); err != nil {
		return err
	}
	r.say("ended " + name)
	return nil
}

// mutesReport is `kxops alarms mute ls -o json`: a contract with scripts.
type mutesReport struct {
	Schema string        `json:"schema"` // kxops/mutes/v1
	Mutes  []alarms.Mute `json:"mutes"`
}

func (s *session) printMutes(mutes []alarms.Mute, now time.Time) error {
	if s.json() {
		return s.printJSON(mutesReport{"kxops/mutes/v1", append([]alarms.Mute{}, mutes...)})
	}
	p := s.paper()
	p.mutes(mutes, now)
	return s.printText(p.b.String())
}

func (p *printer) mutes(mutes []alarms.Mute, now time.Time) {
	if len(mutes) == 0 {
		p.line("nothing is muted")
		return
	}
	var rows [][]string
	for _, m := range mutes {
		by := "others"
		if m.Ours {
			by = "kxops"
		}
		rows = append(rows, []string{named(m.Name), m.State, ends(m.Until, now), thousands(len(m.Alarms)), by, oneLine(m.Reason)})
	}
	p.aligned([]string{"NAME", "STATE", "ENDS IN", "ALARMS", "BY", "REASON"}, rows)
}
