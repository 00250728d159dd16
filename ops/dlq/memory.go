package dlq

import (
	"sync"
	"time"

	"kxops/ops"
)

// looksBeforeMemory is how often one run receives a message: SQS puts a message
// that was received three times to the back of a standard queue and leaves it out
// of the age metric (SQS Developer Guide, sqs-available-cloudwatch-metrics). A
// third look is answered from memory.
const looksBeforeMemory = 2

// memory is how often this run received each message. It is safe for concurrent use.
type memory struct {
	mu     sync.Mutex
	queues map[ops.ARN]map[string]remembered
}

type remembered struct {
	looks   int32
	expires int64 // Unix seconds; 0: unknown
}

func newMemory() *memory { return &memory{queues: map[ops.ARN]map[string]remembered{}} }

// add counts one receive of a message and returns how many there were.
func (m *memory) add(queue ops.ARN, id string, expires time.Time) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.queues[queue]
	if known == nil {
		known = map[string]remembered{}
		m.queues[queue] = known
	}
	r := known[id]
	r.looks++
	if !expires.IsZero() {
		r.expires = expires.Unix()
	}
	known[id] = r
	return int(r.looks)
}

// most is how often a message that must still be in the queue was received at
// most. What has expired is forgotten on the way.
func (m *memory) most(queue ops.ARN, now time.Time) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	most := int32(0)
	for id, r := range m.queues[queue] {
		if r.expires != 0 && r.expires <= now.Unix() {
			delete(m.queues[queue], id)
			continue
		}
		most = max(most, r.looks)
	}
	return int(most)
}

// forget takes messages out that are not in the queue any more.
func (m *memory) forget(queue ops.ARN, ids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		delete(m.queues[queue], id)
	}
}
