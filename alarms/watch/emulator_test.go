package watch

import (
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"kxops/alarms"
	"kxops/ops/cloud"
	"kxops/ops/journal"
)

// TestEveryRuleGoesRoundElsewhere applies the catalogue's alarms on the emulators
// that KXOPS_CONFORMANCE names (see .ci/emulators.sh): what we make of alarms is
// checked against somebody else's CloudWatch.
func TestEveryRuleGoesRoundElsewhere(t *testing.T) {
	protocols := map[string]string{"moto": "query", "ministack": "json"}
	mathless := map[string]bool{"ministack": true} // drops the queries of a math alarm
	p := at(t, "incident")
	w := alarms.Want(p.survey(t), alarms.Settings{Tier: alarms.OptIn}, p.Now())
	tried := 0
	for _, pair := range strings.FieldsFunc(os.Getenv("KXOPS_CONFORMANCE"), func(r rune) bool { return r == ',' || r == ' ' }) {
		name, endpoint, _ := strings.Cut(pair, "=")
		if protocols[name] == "" { // no CloudWatch
			continue
		}
		tried++
		t.Run(name, func(t *testing.T) {
			cfg := aws.Config{Region: region, BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "test", "")}
			c, err := cloud.Open(t.Context(), cloud.Options{Config: &cfg, Access: cloud.Change, Protocol: protocols[name], NoQuotas: true})
			must(t, err)
			j, err := journal.Open(t.TempDir())
			must(t, err)
			there := &place{Sandbox: p.Sandbox, desk: New(Options{Config: c.Config(), Identity: identity(), Journal: j})}
			topic, err := there.desk.MakeTopic(t.Context(), "kxops-round-trip")
			must(t, err)
			there.page = topic
			wishes := catalogue{}
			for _, s := range w.Specs {
				if len(s.Math) == 0 || !mathless[name] {
					wishes.wanted.Specs = append(wishes.wanted.Specs, s)
				}
			}
			n := len(wishes.wanted.Specs)
			rm := there.plan(t, there.look(), alarms.Ask{Remove: true}, catalogue{}) // of an earlier run
			there.apply(t, rm)
			plan := there.plan(t, there.look(), there.ask(), wishes)
			count(t, plan, map[alarms.Action]int{alarms.Create: n})
			if r := there.apply(t, plan); r.Created != n {
				t.Fatalf("%+v", r)
			}
			count(t, there.plan(t, there.look(), there.ask(), wishes), map[alarms.Action]int{alarms.Keep: n})
			if r := there.apply(t, there.plan(t, there.look(), alarms.Ask{Remove: true}, catalogue{})); r.Deleted != n {
				t.Errorf("%d of %d deleted, %+v", r.Deleted, n, r.Failed)
			}
		})
	}
	if tried == 0 {
		t.Skip("KXOPS_CONFORMANCE names no emulator of CloudWatch")
	}
}
