package alarms

import (
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kxops/ops"
)

// wish is what a rule is expected to draw up about a snapshot's only resource of its kind.
type wish struct {
	s       ops.Snapshot
	level   float64 // of the alarm
	missing string  // "" for whatever
	part    string
}

func provisioned(s ops.Snapshot) ops.Snapshot {
	s.Streams.Items[0].Mode, s.Streams.Items[0].OpenShards = "PROVISIONED", 4
	return s
}

func consumers(s ops.Snapshot, cs ...ops.Consumer) ops.Snapshot {
	s.Streams.Items[0].Consumers = cs
	return s
}

var (
	mapped   = ops.Consumer{Kind: ops.ByMapping, ARN: "arn:aws:lambda:r:1:function:f", Name: "f"}
	fannedIn = ops.Consumer{Kind: ops.ByFanOut, ARN: "arn:aws:kinesis:r:1:stream/s/consumer/live:1", Name: "live"}
)

var counting = ops.Consumer{Kind: ops.ByMapping, ARN: "arn:aws:lambda:r:1:function:f", Name: "f", ID: "esm-1", Counts: "esm-1"}

func channelTo(destination string, held time.Duration) ops.Consumer {
	return ops.Consumer{Kind: ops.ByChannel, ARN: "arn:aws:kinesis:r:1:channel/1", Name: "lake", Destination: destination, Freshness: held}
}

func concurrency(s ops.Snapshot, n float64) ops.Snapshot {
	s.Concurrency = ops.Know(n, noon)
	return s
}

func fromStreamS(d *ops.Delivery) { d.Source = "arn:aws:kinesis:r:1:stream/s" }

func async(s ops.Snapshot) ops.Snapshot {
	s.Links = []ops.Link{{From: "arn:aws:sns:r:1:t", To: s.Functions.Items[0].ARN, Kind: ops.LinkSubscribes}}
	return s
}

func functionWith(change func(*ops.Function)) ops.Snapshot {
	s := functionOf(false)
	change(&s.Functions.Items[0])
	return s
}

func topicWith(subs ...ops.Subscription) ops.Snapshot {
	s := topicOf()
	s.Topics.Items[0].Subscriptions = subs
	return s
}

func paidFor(b *ops.Bucket) { b.Filters = []string{"all"} }

func replicated(b *ops.Bucket) {
	b.Replicas = []ops.Replica{{Rule: "to-spare", To: "arn:aws:s3:::spare"}}
}

// wishes has a resource that each rule watches, with the threshold that follows from
// its settings, and one that it does not.
var wishes = map[string]struct {
	wish
	none ops.Snapshot
}{
	"kds.loss":             {wish{s: streamOf(flat(ops.IteratorAge, 1)), level: 12 * 3600 * 1000, missing: MissingIsBad}, consumers(streamOf(), fannedIn)},
	"kds.stall":            {wish{s: streamOf(), level: 900}, consumers(streamOf(), fannedIn)},
	"kds.lag":              {wish{s: streamOf(), level: 864_000, missing: MissingIsGood}, consumers(streamOf())},
	"kds.write_throttle":   {wish{s: streamOf()}, topicOf()},
	"kds.read_throttle":    {wish{s: consumers(streamOf(), mapped, ops.Consumer{Kind: ops.ByDelivery})}, streamOf()},
	"kds.efo_loss":         {wish{s: consumers(streamOf(), fannedIn), level: 12 * 3600 * 1000, missing: MissingIsGood, part: "live"}, streamOf()},
	"kds.capacity_bytes":   {wish{s: provisioned(streamOf()), level: 0.8 * 4 * 1048576 * 60}, func() ops.Snapshot { s := streamOf(); s.Streams.Items[0].Mode = "ON_DEMAND"; return s }()},
	"kds.capacity_records": {wish{s: provisioned(streamOf()), level: 192_000}, func() ops.Snapshot { s := streamOf(); s.Streams.Items[0].Mode = "ON_DEMAND"; return s }()},
	"kds.put_failed":       {wish{s: streamOf()}, topicOf()},
	"kds.channel_failed":   {wish{s: consumers(streamOf(), channelTo("Iceberg", 5*time.Minute)), part: "lake"}, streamOf()},
	"kds.channel_stale":    {wish{s: consumers(streamOf(), channelTo("S3", 15*time.Minute)), level: 1800, part: "lake"}, streamOf()},

	"fh.stale":           {wish{s: deliveryOf(nil), level: 600}, streamOf()},
	"fh.blocked":         {wish{s: deliveryOf(nil), level: 1}, streamOf()},
	"fh.delivery_errors": {wish{s: deliveryOf(nil), level: 1}, streamOf()},
	"fh.throttled":       {wish{s: deliveryOf(nil)}, deliveryOf(fromStreamS)},
	"fh.source_loss":     {wish{s: deliveryOf(fromStreamS), level: 12 * 3600 * 1000}, deliveryOf(nil)},
	"fh.source_throttle": {wish{s: deliveryOf(fromStreamS)}, deliveryOf(nil)},
	"fh.limit_bytes":     {wish{s: deliveryOf(nil), level: 0.8}, deliveryOf(fromStreamS)},
	"fh.limit_records":   {wish{s: deliveryOf(nil), level: 0.8}, deliveryOf(fromStreamS)},
	"fh.limit_puts":      {wish{s: deliveryOf(nil), level: 0.8}, deliveryOf(fromStreamS)},
	"fh.transform":       {wish{s: deliveryOf(func(d *ops.Delivery) { d.Transform = "arn:aws:lambda:r:1:function:f" }), level: 1}, deliveryOf(nil)},
	"fh.convert":         {wish{s: deliveryOf(func(d *ops.Delivery) { d.Conversion = true })}, deliveryOf(nil)},
	"fh.partitions":      {wish{s: deliveryOf(func(d *ops.Delivery) { d.Partitioning = true }), level: 1}, deliveryOf(nil)},

	"fh.kms": {wish{s: deliveryOf(func(d *ops.Delivery) { d.Encryption = "arn:aws:kms:r:1:key/k" })},
		deliveryOf(func(d *ops.Delivery) { d.Encryption = "AWS_OWNED_CMK" })},

	"sqs.age":      {wish{s: queueOf(func(q *ops.Queue) { q.Visibility = 10 * time.Minute }), level: 1800}, deadOf(nil)},
	"sqs.loss":     {wish{s: queueOf(nil), level: 2 * 86400}, deadOf(nil)},
	"sqs.stuck":    {wish{s: queueOf(nil), level: 0.9}, deadOf(nil)},
	"sqs.inflight": {wish{s: queueOf(nil), level: 96_000}, deadOf(nil)},
	"sqs.backlog":  {wish{s: queueOf(nil), level: 61, missing: MissingIsGood}, deadOf(nil)},
	"sqs.silent":   {wish{s: queueOf(nil), missing: MissingIsBad}, deadOf(nil)},

	"dlq.nonempty": {wish{s: deadOf(nil)}, queueOf(nil)},
	"dlq.growing":  {wish{s: deadOf(nil)}, queueOf(nil)},
	"dlq.loss":     {wish{s: deadOf(nil), level: 9 * 86400}, queueOf(nil)}, // 14 d − 4 d of the source − a day

	"lambda.errors_stream": {wish{s: functionOf(true)}, functionOf(false)},
	"lambda.errors_rate":   {wish{s: functionOf(false), level: 5}, functionOf(true)},
	"lambda.throttles":     {wish{s: functionOf(false), level: 1}, functionWith(func(f *ops.Function) { f.Concurrency = ops.Know(0, noon) })},
	"lambda.stream_loss": {wish{s: consumers(functionOf(true), ops.Consumer{Kind: ops.ByMapping, ARN: "arn:aws:lambda:r:1:function:f", MaxRecordAge: 2 * time.Hour}), level: 3600 * 1000},
		functionOf(false)},
	"lambda.async_dropped": {wish{s: async(functionOf(false))}, functionOf(false)},
	"lambda.async_age":     {wish{s: async(functionOf(false)), level: 3 * 3600 * 1000}, functionOf(false)},
	"lambda.dlq_errors":    {wish{s: functionWith(func(f *ops.Function) { f.DeadLetter = "arn:aws:sqs:r:1:dead" })}, functionOf(false)},
	"lambda.dest_failures": {wish{s: functionWith(func(f *ops.Function) { f.OnFailure = "arn:aws:sqs:r:1:dead" })}, functionOf(false)},
	"lambda.esm_dropped":   {wish{s: consumers(functionOf(true), counting), part: "esm-1"}, functionOf(true)},
	"lambda.account":       {wish{s: concurrency(functionOf(false), 1000), level: 900}, concurrency(topicOf(), 1000)},
	"lambda.near_timeout":  {wish{s: functionOf(false), level: 2700}, topicOf()},
	"lambda.recursion":     {wish{s: functionOf(false)}, topicOf()},

	"apigw.5xx":     {wish{s: apiOf(nil), level: 0.05, missing: MissingIsGood, part: "door/prod"}, apiOf(idle)},
	"apigw.4xx":     {wish{s: apiOf(direct), level: 0.05, part: "door/prod"}, apiOf(idle)},
	"apigw.latency": {wish{s: apiOf(nil), level: 2000, part: "door/prod"}, apiOf(idle)},
	"apigw.silent":  {wish{s: apiOf(nil), missing: MissingIsBad, part: "door/prod"}, apiOf(idle)},

	"s3.5xx":         {wish{s: bucketWith(paidFor), level: 0.05, part: "all"}, bucketWith(func(*ops.Bucket) {})},
	"s3.4xx":         {wish{s: bucketWith(paidFor), level: 0.05, part: "all"}, bucketWith(func(*ops.Bucket) {})},
	"s3.replication": {wish{s: bucketWith(replicated), part: "to-spare"}, bucketWith(paidFor)},

	"sns.lost":           {wish{s: topicWith(ops.Subscription{Protocol: "sqs", RedriveTo: "arn:aws:sqs:r:1:dead"})}, topicWith(ops.Subscription{Protocol: "sqs"})},
	"sns.failed":         {wish{s: topicWith(ops.Subscription{Protocol: "sqs"})}, topicOf()},
	"sns.redriven":       {wish{s: topicWith(ops.Subscription{Protocol: "sqs", RedriveTo: "arn:aws:sqs:r:1:dead"})}, topicWith(ops.Subscription{Protocol: "sqs"})},
	"sns.silent":         {wish{s: topicOf(), missing: MissingIsBad}, streamOf()},
	"sns.filter_invalid": {wish{s: topicWith(ops.Subscription{Protocol: "sqs", Filter: `{"a":["b"]}`}), part: "attributes"}, topicWith(ops.Subscription{Protocol: "sqs"})},
}

// usualAtQ is what a plan would have measured at queueOf's queue.
var usualAtQ = map[ops.ARN]Baseline{"arn:aws:sqs:r:1:q": {Usual: 40.5, Measured: "2026-11-22"}}

func wantedOf(s ops.Snapshot, rule string) []Spec {
	var out []Spec
	for _, x := range Want(s, Settings{Tier: OptIn, Baselines: usualAtQ}, noon).Specs {
		if x.Rule == rule {
			out = append(out, x)
		}
	}
	return out
}

func TestEveryRuleDrawsUpItsAlarm(t *testing.T) {
	for _, id := range RuleIDs() {
		r, _ := RuleOf(id)
		w := r.Watch
		if w.Metric == "" || w.Formula == "" || w.Source == "" || len(w.Runbook) != 3 || w.Period <= 0 || w.Comparison == "" || w.Missing == "" || !w.Tier.Within(OptIn) {
			t.Errorf("%s is not whole: %+v", id, w)
		}
		x, ok := wishes[id]
		if !ok {
			t.Errorf("%s has no example", id)
			continue
		}
		specs := wantedOf(x.s, id)
		if len(specs) == 0 {
			t.Errorf("%s draws up nothing for its example", id)
			continue
		}
		got := specs[0]
		if math.Abs(got.Threshold-x.level) > 1e-6 || x.missing != "" && got.Missing != x.missing || got.Part != x.part {
			t.Errorf("%s: threshold %v, missing %s, part %q; want %v, %s, %q", id, got.Threshold, got.Missing, got.Part, x.level, x.missing, x.part)
		}
		if got.M < 1 || got.N < got.M || got.Formula == "" || got.Period*got.N > 86400 {
			t.Errorf("%s is no alarm that CloudWatch takes: %+v", id, got)
		}
		if returns := returning(got); len(got.Math) > 0 && (returns != 1 || got.Stat != "") || len(got.Math) == 0 && (got.Query.Metric == "" || got.Stat == "" || len(got.Query.Dimensions) == 0 && w.Region == nil) {
			t.Errorf("%s: %d queries return, %+v", id, returns, got)
		}
		if n := len(wantedOf(x.none, id)); n != 0 {
			t.Errorf("%s draws up %d alarms where it does not apply", id, n)
		}
	}
	for id := range wishes {
		if r, ok := RuleOf(id); !ok || r.Watch == nil {
			t.Errorf("an example for %s, which has no alarm", id)
		}
	}
}

func returning(s Spec) (n int) {
	for _, q := range s.Math {
		if q.Returns {
			n++
		}
	}
	return n
}

func TestNamesAreUniqueAndFit(t *testing.T) {
	long := ops.ARN("arn:aws:sqs:r:1:" + strings.Repeat("q", 300))
	a, b := AlarmName("sqs.age", long, ""), AlarmName("sqs.age", long+"x", "")
	if len(a) != nameLimit || len(b) != nameLimit || a == b {
		t.Errorf("%d %d\n%s\n%s", len(a), len(b), a, b)
	}
	seen := map[string]bool{}
	for id, x := range wishes {
		for _, s := range wantedOf(x.s, id) {
			if s.Rule == id && seen[s.Name] {
				t.Errorf("%s twice", s.Name)
			}
			seen[s.Name] = true
		}
	}
}

func TestTiersAreSets(t *testing.T) {
	s := consumers(streamOf(flat(ops.IteratorAge, 1)), mapped)
	var counts []int
	for _, tier := range []Tier{"", Essential, Recommended, Full} {
		w := Want(s, Settings{Tier: tier}, noon)
		counts = append(counts, len(w.Specs))
		for _, x := range w.Specs {
			if !x.Tier.Within(max(tier, Essential)) && tier != "" {
				t.Errorf("%s of tier %s in the set %s", x.Rule, x.Tier, tier)
			}
		}
	}
	if counts[0] != counts[1] || counts[1] >= counts[2] || counts[2] > counts[3] {
		t.Errorf("%v", counts)
	}
}

func TestOverrides(t *testing.T) {
	level := 5.0
	s := queueOf(nil)
	arn := s.Queues.Items[0].ARN
	for name, c := range map[string]struct {
		set  Settings
		want []string // rule=threshold
		off  int
	}{
		"none":             {Settings{}, []string{"sqs.age=600", "sqs.loss=172800"}, 0},
		"off":              {Settings{Overrides: []Override{{Rule: "sqs.*", Off: true, Reason: "no"}}}, nil, 2},
		"factor":           {Settings{Overrides: []Override{{Rule: "sqs.age", Resource: "q", Factor: 2, Reason: "slow"}}}, []string{"sqs.age=1200", "sqs.loss=172800"}, 0},
		"threshold":        {Settings{Overrides: []Override{{Rule: "sqs.age", Threshold: &level, Reason: "slow"}}}, []string{"sqs.age=5", "sqs.loss=172800"}, 0},
		"another resource": {Settings{Overrides: []Override{{Resource: "other-*", Off: true, Reason: "no"}}}, []string{"sqs.age=600", "sqs.loss=172800"}, 0},
		"opt in":           {Settings{Overrides: []Override{{Rule: "sqs.silent", Tier: Essential, Reason: "never idle"}}}, []string{"sqs.age=600", "sqs.loss=172800", "sqs.silent=0"}, 0},
		"tag off":          {Settings{Tags: map[ops.ARN]map[string]string{arn: {"kxops:alarms": "off"}}}, nil, 2},
		"tag tier":         {Settings{Tags: map[ops.ARN]map[string]string{arn: {"kxops:alarms": "tier=R"}}}, []string{"sqs.age=600", "sqs.loss=172800", "sqs.stuck=0.9", "sqs.inflight=96000"}, 0},
		"resource's set":   {Settings{Overrides: []Override{{Resource: "q", Set: Recommended, Reason: "money"}}}, []string{"sqs.age=600", "sqs.loss=172800", "sqs.stuck=0.9", "sqs.inflight=96000"}, 0},
	} {
		w := Want(s, c.set, noon)
		var got []string
		for _, x := range w.Specs {
			if !strings.HasPrefix(x.Rule, "sqs.") {
				continue
			}
			got = append(got, x.Rule+"="+number(x.Threshold))
			if len(c.set.Overrides) > 0 && x.Rule == "sqs.age" && c.set.Overrides[0].Rule == "sqs.age" && x.Note != "slow" {
				t.Errorf("%s: the reason is not told: %q", name, x.Note)
			}
		}
		off := 0
		for _, x := range w.Skipped {
			if x.Off {
				off++
			}
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if diff := cmp.Diff(c.want, got); diff != "" || off != c.off {
			t.Errorf("%s: %d off, want %d (-want +got):\n%s", name, off, c.off, diff)
		}
	}
}

// A factor times nothing is nothing: that is said, and the reason stays.
func TestAFactorOfAThresholdOfZeroIsSaid(t *testing.T) {
	r := Rule{ID: "dlq.nonempty", Watch: &Watch{}}
	for _, x := range []struct {
		level float64
		say   Override
		want  string
	}{
		{0, Override{Factor: 5, Reason: "noisy"}, "noisy; a factor changes nothing of a threshold of 0: give a threshold"},
		{0, Override{Reason: "noisy"}, "noisy"},
		{3, Override{Factor: 5, Reason: "noisy"}, "noisy"},
	} {
		if s := spec(&r, "arn:aws:sqs:eu-west-1:123456789012:q", Draft{Level: x.level}, x.say); s.Note != x.want {
			t.Errorf("%+v: %q, want %q", x, s.Note, x.want)
		}
	}
}

func TestWhatIsUnknownIsNoAlarmAndIsSaid(t *testing.T) {
	s := streamOf(flat(ops.IteratorAge, 1))
	s.Streams.Items[0].Retention = 0
	w := Want(s, Settings{}, noon)
	for _, x := range w.Specs {
		if x.Rule == "kds.loss" {
			t.Errorf("an alarm at %v without knowing the retention", x.Threshold)
		}
	}
	for _, x := range w.Skipped {
		if x.Rule == "kds.loss" && x.Unknown && strings.Contains(x.Why, "retention") {
			return
		}
	}
	t.Errorf("nobody says so: %+v", w.Skipped)
}

func TestALongResponseWindowDoesNotRingForEver(t *testing.T) {
	s := deadOf(func(q *ops.Queue) { q.FIFO, q.Retention = true, day })
	for _, x := range Want(s, Settings{Window: 2 * day}, noon).Specs {
		if x.Rule == "dlq.loss" && x.Threshold != 12*3600 {
			t.Errorf("rings after %v s", x.Threshold)
		}
	}
}

func TestSettingsThatCannotBeMeant(t *testing.T) {
	for name, c := range map[string]struct {
		set  Settings
		says string
	}{
		"rule":     {Settings{Overrides: []Override{{Rule: "kds.los", From: "config line 3", Reason: "x"}}}, `config line 3: there is no alarm rule "kds.los"; the nearest: kds.loss`},
		"factor":   {Settings{Overrides: []Override{{Rule: "kds.loss", Factor: 101, Reason: "x"}}}, "factor 101 is out of range: 0.01 to 100"},
		"reason":   {Settings{Overrides: []Override{{Rule: "kds.loss", Factor: 2}}}, "a reason is missing"},
		"severity": {Settings{Overrides: []Override{{Severity: "loud", Reason: "x"}}}, `severity "loud"`},
		"tag":      {Settings{Tags: map[ops.ARN]map[string]string{"arn:aws:sqs:r:1:q": {"kxops:alarms": "on"}}}, `q: the tag kxops:alarms is "on"`},
		"tier":     {Settings{Tier: "X"}, `tier "X"`},
		"set":      {Settings{Overrides: []Override{{Set: "Y", From: "line 9", Reason: "x"}}}, `line 9: tier "Y"`},
	} {
		if err := c.set.Check(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if err := (Settings{Tier: Full, Overrides: []Override{{Rule: "kds.*", Off: true, Reason: "x"}}}).Check(); err != nil {
		t.Error(err)
	}
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// The README's table is what the program prints.
func TestTheReadmeShowsTheCatalogue(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "<!-- rules -->\n")
	table, _, closed := strings.Cut(rest, "<!-- end of rules -->")
	if !found || !closed || table != Markdown() {
		t.Error("the table between <!-- rules --> and <!-- end of rules --> is not what `kxops alarms rules --markdown` prints: replace it")
	}
}

func TestAChannelsMetricFollowsItsDestination(t *testing.T) {
	for destination, want := range map[string]string{"S3": "DeliveryToS3.FailedRecordCount", "Iceberg": "DeliveryToIceberg.FailedRowCount"} {
		got := wantedOf(consumers(streamOf(), channelTo(destination, time.Minute)), "kds.channel_failed")[0].Query
		if got.Metric != want || got.Dimensions["ChannelName"] != "lake" || got.Dimensions["StreamName"] != "s" {
			t.Errorf("%s: %+v", destination, got)
		}
	}
}

// A REST API's metrics have its name, an HTTP or WebSocket API's its id.
func TestAnAPIsMetricsFollowItsProtocol(t *testing.T) {
	for protocol, want := range map[string]struct {
		metric, dimension, of string
		slow                  float64
	}{
		"HTTP": {"5xx", "ApiId", "a1", 2000}, "WEBSOCKET": {"ExecutionError", "ApiId", "a1", 2000}, "REST": {"5XXError", "ApiName", "door", 2500},
	} {
		s := apiOf(func(a *ops.API) { a.Protocol = protocol })
		got := wantedOf(s, "apigw.5xx")[0].Query
		if got.Metric != want.metric || got.Dimensions[want.dimension] != want.of || got.Dimensions["Stage"] != "prod" || len(got.Dimensions) != 2 {
			t.Errorf("%s: %+v", protocol, got)
		}
		if slow := wantedOf(s, "apigw.latency")[0]; slow.Threshold != want.slow || slow.LowSamples != MissingIsIgnored || slow.Stat != "p90" {
			t.Errorf("%s: %+v", protocol, slow)
		}
	}
}

// What a function refuses it means to refuse; what a stream refuses is lost.
func TestRejectedRequestsMatterWhereNoCodeIsBetween(t *testing.T) {
	for name, c := range map[string]struct {
		s    ops.Snapshot
		want int
	}{"a stream": {apiOf(direct), 1}, "a function": {apiOf(nil), 0}} {
		n := 0
		for _, x := range Want(c.s, Settings{Tier: Full}, noon).Specs {
			if x.Rule == "apigw.4xx" {
				n++
			}
		}
		if n != c.want {
			t.Errorf("%s: %d alarms, want %d", name, n, c.want)
		}
	}
	byHand := Want(apiOf(nil), Settings{Overrides: []Override{{Rule: "apigw.4xx", Tier: Essential, Reason: "it never means to"}}}, noon)
	if !slices.ContainsFunc(byHand.Specs, func(s Spec) bool { return s.Rule == "apigw.4xx" && s.Tier == Essential }) {
		t.Error("it cannot be asked for")
	}
}

// What could not be read is not the same as what is not there.
func TestABucketsUnreadMetricsAreSaid(t *testing.T) {
	w := Want(bucketWith(func(b *ops.Bucket) { b.Unread = true }), Settings{Tier: Full}, noon)
	unknown := 0
	for _, x := range w.Skipped {
		if x.Unknown && strings.HasPrefix(x.Rule, "s3.") {
			unknown++
		}
	}
	if unknown != 3 || len(w.Specs) != 0 {
		t.Errorf("%d unknown of 3, %d alarms: %+v", unknown, len(w.Specs), w.Skipped)
	}
}

// A threshold of history is only as good as the history: each way to have none is
// told apart, and an empty queue does not ring for ever.
func TestABacklogsThresholdFollowsWhatIsUsual(t *testing.T) {
	const q = ops.ARN("arn:aws:sqs:r:1:q")
	for name, c := range map[string]struct {
		have    map[ops.ARN]Baseline
		level   float64 // 0: no alarm
		why     string
		unknown bool
	}{
		"usual":        {usualAtQ, 61, "", false},
		"always empty": {map[ops.ARN]Baseline{q: {Usual: 0, Measured: "2026-11-22"}}, 1, "", false},
		"too short":    {map[ops.ARN]Baseline{q: {Short: "its history is too short: 3d of two weeks"}}, 0, "too short", false},
		"denied":       {map[ops.ARN]Baseline{q: {Unread: "denied"}}, 0, "denied", true},
		"not measured": {nil, 0, "two weeks", true},
	} {
		w := Want(queueOf(nil), Settings{Tier: OptIn, Baselines: c.have}, noon)
		level := 0.0
		for _, x := range w.Specs {
			if x.Rule == "sqs.backlog" {
				level = x.Threshold
			}
		}
		i := slices.IndexFunc(w.Skipped, func(x Skipped) bool { return x.Rule == "sqs.backlog" })
		if level != c.level || c.why == "" && i >= 0 || c.why != "" && (i < 0 || w.Skipped[i].Unknown != c.unknown || !strings.Contains(w.Skipped[i].Why, c.why)) {
			t.Errorf("%s: level %v, want %v; %+v", name, level, c.level, w.Skipped)
		}
	}
	for _, x := range Want(queueOf(nil), Settings{Tier: Full}, noon).Skipped {
		if x.Rule == "sqs.backlog" {
			t.Errorf("nobody asked for it, and it is said: %+v", x)
		}
	}
}
