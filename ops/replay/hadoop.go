package replay

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"
)

// hadoopBlockMost is the longest block that is unpacked at once: Hadoop writes 256 KiB.
const hadoopBlockMost = 16 << 20

// hadoopSnappy reads what Hadoop's SnappyCodec writes, and Firehose as HADOOP_SNAPPY: blocks
// of a length unpacked, each of one or more pieces of a length packed. Both lengths are 32
// bits, the high byte first. There is no mark at the beginning and no checksum.
type hadoopSnappy struct {
	in     *bufio.Reader
	left   int    // of the block, unpacked
	ready  []byte // unpacked and not given yet
	packed []byte
	space  []byte
}

// isHadoopSnappy reports whether something begins like the first piece of a block. No text
// does: its first byte would be a length that is too long.
func isHadoopSnappy(head []byte) bool {
	if len(head) < 9 {
		return false
	}
	block, piece := binary.BigEndian.Uint32(head), binary.BigEndian.Uint32(head[4:])
	if block == 0 || block > hadoopBlockMost || piece == 0 || int(piece) > s2.MaxEncodedLen(int(block)) {
		return false
	}
	n, err := s2.DecodedLen(head[8:])
	return err == nil && n > 0 && n <= int(block)
}

func (h *hadoopSnappy) Read(b []byte) (int, error) {
	for len(h.ready) == 0 {
		if err := h.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, h.ready)
	h.ready = h.ready[n:]
	return n, nil
}

// next unpacks a piece. The object ends between two blocks, or it was cut off.
func (h *hadoopSnappy) next() error {
	for h.left == 0 {
		n, err := h.length()
		if err != nil {
			return err
		}
		if n > hadoopBlockMost {
			return fmt.Errorf("a block of Hadoop's snappy of %d bytes: it is damaged", n)
		}
		h.left = int(n) // a block of nothing may be there
	}
	n, err := h.length()
	switch {
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	case err != nil:
		return err
	case n == 0 || int(n) > s2.MaxEncodedLen(h.left):
		return fmt.Errorf("a piece of Hadoop's snappy of %d bytes in a block of %d: it is damaged", n, h.left)
	}
	if cap(h.packed) < int(n) {
		h.packed = make([]byte, n)
	}
	h.packed = h.packed[:n]
	if _, err := io.ReadFull(h.in, h.packed); err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	long, err := s2.DecodedLen(h.packed)
	if err != nil || long == 0 || long > h.left {
		return fmt.Errorf("a piece of Hadoop's snappy says that it holds %d of %d bytes: it is damaged", long, h.left)
	}
	if h.space, err = s2.Decode(h.space[:cap(h.space)], h.packed); err != nil {
		return fmt.Errorf("a piece of Hadoop's snappy: %w", err)
	}
	h.ready = h.space
	h.left -= len(h.ready)
	return nil
}

// length reads a length; io.EOF where nothing is left at all.
func (h *hadoopSnappy) length() (uint32, error) {
	var b [4]byte
	if _, err := io.ReadFull(h.in, b[:]); err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(b[:]), nil
}
