package replay

import (
	"fmt"

	"kxops/ops"
)

// sources is THE list: what events can be replayed from.
var sources = map[ops.Kind]func(*Desk) source{
	ops.KindAthena:   func(d *Desk) source { return athenaSource{desk: d} },
	ops.KindArchive:  func(d *Desk) source { return archiveSource{d} },
	ops.KindDelivery: func(d *Desk) source { return archiveSource{d} },
	ops.KindStream:   func(d *Desk) source { return streamSource{desk: d} },
	ops.KindFile:     func(d *Desk) source { return fileSource{d} },
}

func (d *Desk) sourceOf(k ops.Kind) (source, error) {
	if make, ok := sources[k]; ok {
		return make(d), nil
	}
	return nil, fmt.Errorf("kxops does not replay from a %s", k)
}
