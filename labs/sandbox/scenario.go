package sandbox

import (
	"fmt"
	"strings"
	"time"
)

// Scenario is a situation to look at: resources, traffic and what is wrong.
type Scenario struct {
	Name    string
	About   string
	History time.Duration // how much past is simulated before the door opens
	Build   func(*Region) error
}

// scenarios is THE list.
var scenarios = []Scenario{
	{Name: "", About: "an empty account"},
	{
		Name:    "incident",
		About:   "the shop on a bad day: a stuck stream consumer, a denied delivery, filling and expiring dead-letter queues, two fixes that come while you look",
		History: incidentHistory, Build: staged(incidentHistory, incident),
	},
	{
		Name:    "calm",
		About:   "a healthy web shop: clicks, orders, payments, uploads; nothing wrong",
		History: shopHistory, Build: staged(shopHistory, calm),
	},
	{
		Name:    "scale",
		About:   "a large account: 100 streams, 500 queues, 50 deliveries, 200 functions; a handful in trouble",
		History: shopHistory, Build: staged(shopHistory, scale),
	},
}

// Scenarios lists what New accepts, without the empty account.
func Scenarios() []Scenario { return scenarios[1:] }

func scenarioNamed(name string) (Scenario, error) {
	var names []string
	for _, s := range scenarios {
		if s.Name == name {
			return s, nil
		}
		if s.Name != "" {
			names = append(names, s.Name)
		}
	}
	return Scenario{}, fmt.Errorf("unknown scenario %q: there are %s", name, strings.Join(names, ", "))
}
