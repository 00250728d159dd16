package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kxops/ops"
)

// samplesShown is how many records of each kind a plan shows where nothing else is asked.
const samplesShown = 3

type replayFlags struct {
	from, to     string
	since, until timeFlag
	keys         []string
	shard        string
	first, last  string
	contains     string
	filter       string
	except       string
	mapKey       string
	mapBody      string
	attributes   []string
	keepShard    bool
	mark         choiceFlag
	markField    string
	eventSource  string
	detailType   string
	order        choiceFlag
	lanes        int
	rate         float64
	pace         string
	headroom     string
	gap          time.Duration
	canary       int
	grow         int
	failing      float64
	lag          time.Duration
	async        bool
	fanOut       bool
	again        bool
	rules        []string
	samples      int
	out          string
	athena       athenaFlags
}

func newReplayPlan(s *session) *cobra.Command {
	f := replayFlags{athena: newAthenaFlags(), mark: choiceFlag{value: "attributes", allowed: []string{"attributes", "body", "none"}}, order: choiceFlag{value: "key", allowed: []string{"none", "key", "shard"}}}
	c := &cobra.Command{
		Use:   "plan --from SOURCE --to TARGET",
		Short: "What would be read, sent and set going; nothing is sent",
		Long: `Freezes a selection of old events: the shards with their bounds or the objects with
their ETags, the target's identity, mapping, order, limits and guards. It reads some
records, shows which are meant and which are not, and estimates the rest. Of streams it
asks with DryRun whether records may be read and put: a missing right or an encryption
key that is off stands against the plan.

SOURCE is stream:NAME, archive:BUCKET/PREFIX, delivery:NAME (where a delivery stream
wrote to), athena:DATABASE.TABLE or file:PATH. TARGET is queue:NAME, stream:NAME,
topic:NAME, bus:NAME, function:NAME, delivery:NAME, file:PATH or null: (a rehearsal: everything
happens but the sending).

Filters go from cheap to expensive: shards or prefixes, time, key, bytes, jq. A text that
a jq expression compares with == is looked for in the bytes first.

With athena: a query of Athena runs once, for the plan: --where is its condition, and each
? in it takes the next --param or --number. What it may cost is said first, and asked
about above $0.10 or where the workgroup has no limit; --dry-run shows the query and does
not run it. --mode raw reads the objects that the rows lie in, byte for byte: the query
chooses objects, --filter the records in them. --mode rows has Athena write the rows anew
(UNLOAD, into the place for results, where they stay): reconstructed, not byte exact.

With events-archive: EventBridge itself replays its archive, to the bus that it was made
of: the whole of --since to --until, to all rules or to those of --rule. It cannot filter,
map, order, slow down or pause, and gives no receipts; "replay show", "resume" (watch
again) and "cancel" work on it.

A plan whose objects are archived (GLACIER, DEEP_ARCHIVE) is saved too, with exit code 4:
"kxops replay restore" asks for them back, and the plan is applied when they are there.

Exit codes: 0 done · 1 error · 2 wrong usage · 4 something stands against the plan.`,
		Example: `  kxops replay plan --from archive:events/orders/ --since 2026-11-17T00:00Z --until 2026-11-18T00:00Z --filter '.customer_id == "4712"' --to null:
  kxops replay plan --from stream:orders --since 3h --key 4712 --to queue:reprocess --plan-out 4712.plan
  kxops replay plan --from athena:shop.orders --where 'customer = ? and dt = ?' --param 4712 --param 2026-11-17 --filter '.customer == "4712"' --to queue:reprocess
  kxops replay plan --from delivery:orders-archive --since 2d --to stream:orders-again --map-key .customer_id --rate 500`,
		Args: takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(c); err != nil {
				return err
			}
			return s.replayPlan(c.Context(), f)
		},
	}
	fs := c.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.from, "from", "", "SOURCE: stream:NAME, archive:BUCKET/PREFIX, delivery:NAME, athena:DATABASE.TABLE, events-archive:NAME, file:PATH")
	fs.StringVar(&f.to, "to", "", "TARGET: queue:NAME, stream:NAME, topic:NAME, bus:NAME, function:NAME, delivery:NAME, file:PATH, null:")
	fs.Var(&f.since, "since", "arrived not before: a time with its zone, or so long ago")
	fs.Var(&f.until, "until", "arrived before")
	fs.StringArrayVar(&f.keys, "key", nil, "partition key, any of several; for streams")
	fs.StringVar(&f.shard, "shard", "", "of a stream, only this shard")
	fs.StringVar(&f.first, "from-sequence", "", "with --shard: from this sequence number on; `kxops dlq pointer` shows those of a dead letter")
	fs.StringVar(&f.last, "to-sequence", "", "with --shard: to this sequence number, which is meant too")
	fs.BoolVar(&f.fanOut, "fan-out", false, "read a stream by a registered consumer of its own instead of polling: 2 MiB/s a shard that no consumer loses; removed at the end; billed")
	fs.StringVar(&f.contains, "contains", "", "the text occurs in the body")
	fs.StringVar(&f.filter, "filter", "", "jq over the body: true is meant")
	f.athena.register(c)
	fs.StringVar(&f.except, "except", "", "not what this earlier replay has sent, by its receipts")
	fs.BoolVar(&f.async, "async", false, "to a function: do not wait for its answer; receipts then say that Lambda accepted an event, not that it was done")
	fs.StringVar(&f.mapKey, "map-key", "", "jq over the body: the key to send with; default: as it was")
	fs.StringVar(&f.mapBody, "map-body", "", "jq over the body: what to send; default: byte for byte")
	fs.StringArrayVar(&f.attributes, "attribute", nil, "to a queue or topic: NAME, the attribute of that name in SNS' envelope, or NAME=JQ, jq over the body; any of several")
	fs.StringVar(&f.eventSource, "event-source", "", "to a bus: the source of an event whose detail is a record that is no EventBridge event; with --detail-type")
	fs.StringVar(&f.detailType, "detail-type", "", "to a bus: the detail-type of such an event")
	fs.BoolVar(&f.keepShard, "keep-shard", false, "stream to stream: the range of the old shard decides where a record goes, not its key")
	fs.Var(&f.mark, "mark", "mark what is sent with kxops-replay-id, -source-id, -original-time and -hop: as attributes, where the target has such, or in the body, where it is a JSON object")
	fs.StringVar(&f.markField, "mark-field", "", "with --mark body: the field of the body that has the marks (default kxops)")
	fs.Var(&f.order, "order", "key: those of one key in their order; shard: those of one shard or object; none")
	fs.IntVar(&f.lanes, "lanes", 0, "requests in the air; default: chosen by the plan")
	fs.Float64Var(&f.rate, "rate", 0, "records a second at most; default: what the target takes")
	fs.StringVar(&f.pace, "pace", "", "spaced as they arrived: original, or so many times as fast, such as 10x; default: as fast as they may go")
	fs.DurationVar(&f.gap, "max-gap", 0, "with --pace: no wait between two records longer than this, such as 5s")
	fs.StringVar(&f.headroom, "headroom", "", "to a stream: use so much of what its producers leave free, such as 50%, by its metrics each minute")
	fs.IntVar(&f.canary, "canary", 0, "so many first, then look at dead-letter queues, errors and lag, then the rest; -1: none; default: chosen by the plan")
	fs.IntVar(&f.grow, "guard-growth", 0, "halt (exit 5) when a dead-letter queue behind the target grows by more messages than this; default: chosen by the plan")
	fs.Float64Var(&f.failing, "guard-errors", 0, "halt (exit 5) when so much more of a function's calls fail than before, in percent; default: chosen by the plan")
	fs.DurationVar(&f.lag, "guard-lag", 0, "halt (exit 5) when consumers fall so much further behind, such as 30m; default: chosen by the plan")
	fs.BoolVar(&f.again, "allow-rereplay", false, "also events that carry the mark of a replay")
	fs.StringArrayVar(&f.rules, "rule", nil, "from an archive of events: only this rule of the bus gets them, any of several; default: all rules")
	fs.IntVar(&f.samples, "samples", samplesShown, "so many records that are meant, and as many that are not, are shown; at most 20")
	fs.StringVar(&f.out, "plan-out", "", "write the plan into this new file: `kxops replay apply` applies exactly that")
	completeWith(c, "mark", f.mark.allowed)
	completeWith(c, "order", f.order.allowed)
	return c
}

// What a replay reads from and sends to, as the flags name it.
var (
	replaySources = []string{"stream", "archive", "delivery", "athena", "events-archive", "file"}
	replayTargets = []string{"queue", "stream", "topic", "bus", "function", "delivery", "file", "null"}
)

func kindOf(end string) string {
	kind, _, _ := strings.Cut(end, ":")
	return kind
}

func (f *replayFlags) check(c *cobra.Command) error {
	switch {
	case f.from == "":
		return wrongUsage("--from is missing: stream:NAME, archive:BUCKET/PREFIX, delivery:NAME, athena:DATABASE.TABLE, events-archive:NAME or file:PATH")
	case kindOf(f.from) == string(ops.KindEventArchive):
		return checkManaged(c)
	case f.to == "":
		return wrongUsage("--to is missing: queue:NAME, stream:NAME, file:PATH, or null: for a rehearsal")
	case !strings.HasPrefix(f.from, "arn:") && !slices.Contains(replaySources, kindOf(f.from)):
		return wrongUsage(fmt.Sprintf("--from %s: there is no source %q; it takes %s, each with a name behind a colon", f.from, kindOf(f.from), orList(replaySources)))
	case !strings.HasPrefix(f.to, "arn:") && !slices.Contains(replayTargets, kindOf(f.to)):
		return wrongUsage(fmt.Sprintf("--to %s: there is no target %q; it takes %s, each with a name behind a colon", f.to, kindOf(f.to), orList(replayTargets)))
	case f.shard == "" && (f.first != "" || f.last != ""):
		return wrongUsage("--from-sequence and --to-sequence need --shard: a sequence number is one of a shard")
	case c.Flags().Changed("rate") && !(f.rate > 0 && f.rate <= 1e6):
		return wrongUsage("--rate must be above 0 and at most 1000000 records a second")
	case c.Flags().Changed("pace") && f.speed() == 0:
		return wrongUsage(fmt.Sprintf("--pace %s: must be original, or 1x to 10000x", f.pace))
	case c.Flags().Changed("max-gap") && (f.pace == "" || f.gap < time.Millisecond):
		return wrongUsage("--max-gap needs --pace, and at least 1ms")
	case c.Flags().Changed("headroom") && f.room() == 0:
		return wrongUsage(fmt.Sprintf("--headroom %s: must be above 0%% and at most 100%%, such as 50%%", f.headroom))
	case c.Flags().Changed("lanes") && (f.lanes < 1 || f.lanes > ops.MostLanes):
		return wrongUsage(fmt.Sprintf("--lanes must be 1 to %d", ops.MostLanes))
	case f.samples < 0 || f.samples > 20:
		return wrongUsage("--samples must be 0 to 20")
	case c.Flags().Changed("guard-growth") && f.grow < 1:
		return wrongUsage("--guard-growth must be at least 1")
	case c.Flags().Changed("guard-errors") && !(f.failing > 0 && f.failing <= 100):
		return wrongUsage("--guard-errors must be above 0 and at most 100 percent")
	case c.Flags().Changed("guard-lag") && f.lag < time.Minute:
		return wrongUsage("--guard-lag must be at least 1m: metrics have a point a minute")
	case c.Flags().Changed("plan-out") && f.out == "":
		return wrongUsage("--plan-out needs the name of a file")
	}
	return f.athena.check(c, f.from)
}

// room is the share of what is free at the target, 0 to 1; 0: not asked for, or not readable.
func (f *replayFlags) room() float64 {
	n, _ := ops.ParseShare(f.headroom) // check has refused what cannot be read
	return n
}

// speed is how many times as fast as they arrived; 0: not spaced, or not readable.
func (f *replayFlags) speed() float64 {
	n, _ := ops.ParseSpeed(f.pace)
	return n
}

func (s *session) replayPlan(ctx context.Context, f replayFlags) error {
	t, err := s.atTapes(ctx)
	if err != nil {
		return err
	}
	if err := t.mayRead(); err != nil {
		return err
	}
	now := t.account.clock()
	since, err := f.since.when(now)
	if err != nil {
		return err
	}
	until, err := f.until.when(now)
	if err != nil {
		return err
	}
	ask := ops.ReplayAsk{
		From: f.from, To: f.to,
		Select: ops.ReplaySelect{Since: since, Until: until, Keys: f.keys, Shard: f.shard, First: f.first, Last: f.last, Contains: f.contains, Filter: f.filter, Except: f.except},
		Map:    ops.ReplayMap{Key: f.mapKey, Body: f.mapBody, KeepShard: f.keepShard, Mark: f.mark.value, MarkField: f.markField, EventSource: f.eventSource, DetailType: f.detailType},
		Order:  f.order.value, Lanes: f.lanes, Rate: f.rate, Headroom: f.room(), Speed: f.speed(), MaxGap: f.gap.Seconds(), Canary: f.canary, Grow: f.grow, Errors: f.failing / 100, Lag: f.lag.Seconds(), Async: f.async, FanOut: f.fanOut, Again: f.again, Reason: s.reason, Rules: f.rules,
		Question: f.athena.question(), Agree: t.toQuery(ctx),
	}
	for _, a := range f.attributes {
		ask.Map.Attributes = append(ask.Map.Attributes, ops.ParseAttribute(a))
	}
	if !strings.HasPrefix(f.to, "null") && !strings.HasPrefix(f.to, "file:") {
		var account string
		ask.Links, account = t.behind(ctx)
		ask.Protect = t.account.guarded(account)
	}
	plan, samples, err := t.desk.Plan(ctx, ask)
	if errors.Is(err, errShownOnly) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := t.printReplayPlan(plan, samples, f.samples); err != nil {
		return err
	}
	if len(plan.Blockers) > 0 && !plan.Waits() {
		return refused("this plan could not be applied: "+strings.Join(plan.Blockers, "; "), "")
	}
	if plan.Waits() {
		return s.planWaits(plan, f.out)
	}
	if f.out != "" && !s.dryRun {
		if err := writePlan(f.out, plan); err != nil {
			return err
		}
		s.say(fmt.Sprintf("the plan is in %s until %s; `kxops --access change replay apply %s` applies it", f.out, plan.Expires.Format("15:04:05 MST"), shellWord(f.out)))
	}
	return nil
}

// planWaits saves a plan that only its archived objects stand against.
func (s *session) planWaits(plan ops.ReplayPlan, out string) error {
	why := "this plan waits: " + plan.Blockers[0]
	if out == "" || s.dryRun {
		return refused(why, "--plan-out FILE saves it as PLAN")
	}
	if err := writePlan(out, plan); err != nil {
		return err
	}
	return refused(why, fmt.Sprintf("it is in %s until %s: `kxops --access change replay restore %s`, then apply it", out, plan.Expires.Format("2006-01-02 15:04 MST"), shellWord(out)))
}
