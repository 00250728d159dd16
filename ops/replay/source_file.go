package replay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"kxops/ops"
)

// fileSource reads records from a file: lines, JSON values, packed or not, also what a
// replay has parked or written.
type fileSource struct{ desk *Desk }

func (s fileSource) find(_ context.Context, plan *ops.ReplayPlan) error {
	path := plan.From.Path
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &ops.Problem{Fault: ops.FaultNotFound, What: "there is no file " + path, Err: err}
	case err != nil:
		return fmt.Errorf("the file to read: %w", err)
	case info.IsDir():
		return refused("%s is a directory: name a file", path)
	}
	plan.Parts = []ops.ReplayPart{{ID: path, Bytes: info.Size(), Stored: info.ModTime().UTC()}}
	plan.Seen["file size"] = fmt.Sprint(info.Size())
	plan.Seen["file changed"] = info.ModTime().UTC().Format(time.RFC3339Nano)
	plan.Estimate.Bytes = ops.Know(float64(info.Size()), plan.Created)
	if len(plan.Select.Keys) > 0 {
		plan.Facts = append(plan.Facts, ops.Fact{Name: "keys", Value: "only lines that a replay has written know their key"})
	}
	return nil
}

func (s fileSource) read(ctx context.Context, plan ops.ReplayPlan, part int, after string, give func(Page) error) error {
	f, err := os.Open(plan.Parts[part].ID)
	if err != nil {
		return err
	}
	defer f.Close()
	return readObject(f, "file", plan.Parts[part].ID, after, func(p Page) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return give(within(plan.Select, p))
	})
}

// within leaves out of a page what arrived outside of the window or has another key,
// where that is known.
func within(s ops.ReplaySelect, p Page) Page {
	if s.Since.IsZero() && s.Until.IsZero() && len(s.Keys) == 0 {
		return p
	}
	kept := p.Records[:0]
	for _, r := range p.Records {
		outside := !r.At.IsZero() && (r.At.Before(s.Since) || !s.Until.IsZero() && !r.At.Before(s.Until))
		if outside || len(s.Keys) > 0 && !hasKey(s.Keys, r.Key) {
			p.Early++
			continue
		}
		kept = append(kept, r)
	}
	p.Records = kept
	return p
}

func hasKey(keys []string, key string) bool {
	for _, k := range keys {
		if k == key {
			return true
		}
	}
	return false
}
