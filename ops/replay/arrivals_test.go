package replay

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"kxops/ops"
)

// What arrived at a stream is counted by its metric: nothing is known of the time in which
// it had no record, and that is not 0.
func TestArrivalsOfAStream(t *testing.T) {
	w := newWorld(t)
	w.stream("orders", 1)
	for i := range 25 {
		w.put("orders", "c", i)
	}
	w.sb.Advance(2 * time.Hour)
	for i := range 15 {
		w.put("orders", "c", i)
	}
	w.sb.Advance(10 * time.Minute)
	a, err := w.desk.Arrivals(t.Context(), "stream:orders")
	w.must(err)
	sum, _ := a.Within(a.Begin, a.End())
	if v, _ := sum.Value(); v != 40 || a.What != ops.ArrivedRecords || a.Step != 15*time.Minute || len(a.Steps) != 97 {
		t.Errorf("%v of %d steps of %s", sum, len(a.Steps), a.Step)
	}
	if a.Begin.After(w.sb.Now().Add(-24*time.Hour)) || !a.End().After(w.sb.Now()) {
		t.Errorf("%s to %s is not the retention", a.Begin, a.End())
	}
	if _, known := a.Steps[0].Value(); known {
		t.Error("what was before the stream is known")
	}
}

// What arrived in an archive is counted by the hour in the names of its objects.
func TestArrivalsOfAnArchive(t *testing.T) {
	w := newWorld(t)
	w.bucket("events")
	now := w.sb.Now()
	put := func(at time.Time, size int) {
		key := "orders/" + at.Format("2006/01/02/15/") + "orders-1-" + at.Format("2006-01-02-15-04-05") + "-x"
		_, err := w.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("events"), Key: &key, Body: strings.NewReader(strings.Repeat("x", size))})
		w.must(err)
	}
	put(now.Add(-30*time.Hour), 300)
	put(now.Add(-2*time.Hour), 100)
	put(now.Add(-2*time.Hour+time.Second), 11)
	put(now.Add(-20*24*time.Hour), 5000) // older than is looked at
	a, err := w.desk.Arrivals(t.Context(), "archive:events/orders/")
	w.must(err)
	got := map[time.Duration]float64{}
	for i, r := range a.Steps {
		v, known := r.Value()
		if !known {
			t.Fatalf("step %d was listed, and is unknown", i)
		}
		if v > 0 {
			got[now.Sub(a.Begin.Add(time.Duration(i)*a.Step))] = v
		}
	}
	if len(got) != 2 || got[30*time.Hour] != 300 || got[2*time.Hour] != 111 || a.What != ops.ArrivedBytes || a.Note != "" {
		t.Errorf("%v %+v", got, a.Note)
	}
}

func TestArrivalsThatNobodyKnows(t *testing.T) {
	w := newWorld(t)
	for from, want := range map[string]string{"file:x": "not known before they are read", "stream:nobody": "stream:nobody", "": "--from is missing"} {
		if _, err := w.desk.Arrivals(t.Context(), from); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", from, err)
		}
	}
}
