package sandbox

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"net/http"
	"time"

	"kxops/ops"
)

// Region is one region of the sandbox's account: its services, and the ways by
// which they reach each other. A service registers itself in its constructor;
// services never import or name each other's types.
type Region struct {
	*kernel
	sb   *Sandbox
	Name string

	metrics *metricStore

	// receivers take an event for a resource, by service part of its ARN.
	receivers map[string]func(target ops.ARN, d delivery) error
	// streams reads Kinesis shards for event source mappings and deliveries.
	streams streamReader
	// queues reads SQS queues for event source mappings.
	queues queueReader
	// functions is Lambda, for Sandbox.Handler and for scenarios.
	functions *lambdaService
	// catalog is Glue, which Athena reads.
	catalog *glueService
	// invoke runs a function synchronously.
	invoke func(function ops.ARN, payload []byte) (invocation, error)
	// putObject stores an object and sends its notifications.
	putObject func(bucket, key string, body []byte) error
	// deliveries is Firehose itself, for scenarios: see firehoseIn.
	deliveries any
	kms        *kmsStore
	// doors are the HTTP APIs.
	doors      *httpAPIs
	operations map[string]*operation       // "service.Operation"
	buckets    map[string]*tokenBucket     // what is left of the quotas
	raw        map[string]http.HandlerFunc // services that answer HTTP themselves, by signing name (s3, lambda)
	// tagged lists resources with their tags, one lister per service.
	tagged []func() []taggedResource
}

func newRegion(sb *Sandbox, name string) *Region {
	r := &Region{
		kernel:     sb.kernel,
		sb:         sb,
		Name:       name,
		metrics:    newMetricStore(),
		receivers:  map[string]func(ops.ARN, delivery) error{},
		operations: map[string]*operation{},
		buckets:    map[string]*tokenBucket{},
		raw:        map[string]http.HandlerFunc{},
	}
	if sb.options.History > 0 {
		r.metrics.keep = int64(sb.options.History / time.Minute)
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	for _, add := range services {
		add(r)
	}
	return r
}

// delivery is an event on its way from one service to another.
type delivery struct {
	Body       []byte
	Subject    string
	Attributes map[string]attribute // user attributes, with their SQS data types
	System     map[string]string    // such as AWSTraceHeader
	Group      string               // MessageGroupId
	Dedup      string               // MessageDeduplicationId
	From       ops.ARN              // who sends it: decides on access policies
}

type attribute struct {
	Type   string // String, Number or Binary, with an optional .label
	String string
	Binary []byte
}

// invocation is the outcome of a function call.
type invocation struct {
	Payload   []byte
	Error     string        // "" or the FunctionError value: Unhandled, Handled
	Took      time.Duration // simulated run time
	RequestID string
}

// streamReader is what Kinesis offers to its consumers inside the sandbox.
type streamReader interface {
	// shards lists all shards that hold or may get records, parents first.
	shards(stream ops.ARN) ([]shardInfo, error)
	// read returns up to limit records with sequence numbers after the given one
	// ("" = trim horizon). polling consumers count as GetRecords calls in the
	// stream's metrics (iterator age).
	read(stream ops.ARN, shard, after string, limit int, polling bool) (shardPage, error)
	// latest returns the sequence number of the newest record, "" for an empty shard.
	latest(stream ops.ARN, shard string) string
}

type shardInfo struct {
	ID     string
	Parent string
	Closed bool
}

type shardPage struct {
	Records []streamRecord
	Behind  time.Duration // distance from the tip after these records
	End     bool          // the shard is closed and has been read to its end
}

type streamRecord struct {
	Sequence string
	Key      string
	Data     []byte
	Arrived  time.Time
}

// queueReader is what SQS offers to its consumers inside the sandbox. A consumer
// counts as any other: its receives raise the receive count and can dead-letter.
type queueReader interface {
	// receive leases up to max messages (at most 10) for the visibility time; zero
	// means the queue's own. It never waits: an empty answer is an empty queue.
	receive(queue ops.ARN, max int, visibility time.Duration) ([]queueMessage, error)
	// remove deletes a leased message; a stale handle deletes nothing.
	remove(queue ops.ARN, receiptHandle string)
	// release ends a lease after the given time from now; zero means at once.
	release(queue ops.ARN, receiptHandle string, after time.Duration)
}

// queueMessage is one leased message.
type queueMessage struct {
	ID, Handle, Body string
	Attributes       map[string]attribute
	System           map[string]string // ApproximateReceiveCount, SentTimestamp, SenderId …
	MD5              string            // of the body, in hex
}

type taggedResource struct {
	ARN  ops.ARN
	Tags map[string]string
}

// deliver hands an event to the resource that the ARN names.
func (r *Region) deliver(target ops.ARN, d delivery) error {
	accept, ok := r.receivers[target.Service()]
	if !ok {
		return fmt.Errorf("sandbox: nothing here takes events for %s", target)
	}
	return accept(target, d)
}

// arn builds an ARN of this account and region.
func (r *Region) arn(service, resource string) ops.ARN {
	return ops.ARN("arn:aws:" + service + ":" + r.Name + ":" + Account + ":" + resource)
}

// setup is how long something takes to be set up that takes AWS d.
func (r *Region) setup(d time.Duration) time.Duration {
	if r.sb.options.Brisk {
		return d / 50
	}
	return d
}

// id returns a random id in the form of a UUID, from the sandbox's own source.
func (r *Region) id() string { return r.kernel.uuid() }

// uuid is drawn for every message and request: no fmt here.
func (k *kernel) uuid() string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], k.rng.Uint64())
	binary.BigEndian.PutUint64(raw[8:], k.rng.Uint64())
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80 // version 4
	var text [36]byte
	for i, cut := range [...]struct{ from, to, at int }{{0, 4, 0}, {4, 6, 9}, {6, 8, 14}, {8, 10, 19}, {10, 16, 24}} {
		hex.Encode(text[cut.at:], raw[cut.from:cut.to])
		if i > 0 {
			text[cut.at-1] = '-'
		}
	}
	return string(text[:])
}

func hash32(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(s))
	return h.Sum32()
}
