package payload

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"kxops/ops"
)

var gzipped = layer{
	name: "gzip",
	says: "Bytes packed with gzip, in one member or several.",
	open: openGzip,
}

func openGzip(in *input) (ops.Layer, bool) {
	if len(in.body) < 18 || in.body[0] != 0x1f || in.body[1] != 0x8b || in.body[2] != 8 {
		return ops.Layer{}, false
	}
	packed := bytes.NewReader(in.body)
	r, ok := gzipReaders.Get().(*gzip.Reader)
	if !ok {
		r = new(gzip.Reader)
	}
	defer gzipReaders.Put(r)
	if err := r.Reset(packed); err != nil {
		return ops.Layer{}, false
	}
	return in.unpack(r)
}

var gzipReaders sync.Pool

var zstandard = layer{
	name: "zstd",
	says: "Bytes packed with Zstandard, in one frame or several.",
	open: openZstd,
}

func openZstd(in *input) (ops.Layer, bool) {
	if len(in.body) < 9 || string(in.body[:4]) != "\x28\xb5\x2f\xfd" {
		return ops.Layer{}, false
	}
	r, ok := zstdReaders.Get().(*zstd.Decoder)
	if !ok {
		var err error
		// One reader at a time, so that no goroutine is left behind.
		r, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxUnpacked))
		if err != nil {
			return ops.Layer{}, false
		}
	}
	defer func() {
		if r.Reset(nil) == nil {
			zstdReaders.Put(r)
		}
	}()
	if err := r.Reset(bytes.NewReader(in.body)); err != nil {
		return ops.Layer{}, false
	}
	return in.unpack(r)
}

var zstdReaders sync.Pool

// unpack reads what is packed, as far as the room goes. Bytes that are damaged give
// what came before the damage, and say so.
func (in *input) unpack(r io.Reader) (ops.Layer, bool) {
	var out bytes.Buffer
	n, err := out.ReadFrom(io.LimitReader(r, int64(in.room)+1))
	f := make(facts, 0, 3)
	f.add("Bytes packed", strconv.Itoa(len(in.body)))
	if int(n) > in.room {
		f.add("Too large", fmt.Sprintf("it unpacks to more than %d MiB; it is left packed", maxUnpacked>>20))
		return ops.Layer{Facts: f}, true
	}
	in.room -= int(n)
	f.add("Bytes inside", strconv.Itoa(int(n)))
	if err != nil {
		if n == 0 {
			return ops.Layer{}, false
		}
		f.add("Damaged", "only the beginning could be unpacked: "+err.Error())
	}
	l := ops.Layer{Facts: f, Body: out.Bytes()}
	if l.Body == nil {
		l.Body = []byte{}
	}
	return l, true
}
