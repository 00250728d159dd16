package sandbox

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// mostObject bounds one object.
const mostObject = 64 << 20

var errTooLarge = errors.New("too large")

// s3Body reads a request's body, takes the chunks of aws-chunked apart and
// checks every checksum that came with it, before or behind the body.
func s3Body(req *http.Request) ([]byte, error) {
	src := io.LimitReader(req.Body, mostObject+1<<20)
	var body []byte
	var err error
	if strings.HasPrefix(req.Header.Get("x-amz-content-sha256"), "STREAMING-") {
		var trailer http.Header
		body, trailer, err = unchunk(bufio.NewReader(src))
		for k, v := range trailer {
			req.Header[k] = v
		}
		if n := req.Header.Get("x-amz-decoded-content-length"); err == nil && n != "" && n != strconv.Itoa(len(body)) {
			err = fmt.Errorf("%d bytes arrived, %s were announced", len(body), n)
		}
	} else {
		body, err = io.ReadAll(src)
	}
	switch {
	case errors.Is(err, errTooLarge) || len(body) > mostObject:
		return nil, s3Error(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size: the sandbox takes objects up to %d MiB", mostObject>>20)
	case err != nil:
		return nil, s3Error(400, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header: %v", err)
	}
	if want := req.Header.Get("Content-MD5"); want != "" {
		if sum := md5.Sum(body); want != base64.StdEncoding.EncodeToString(sum[:]) {
			return nil, s3Error(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
		}
	}
	for name, h := range checksums() {
		if want := req.Header.Get("x-amz-checksum-" + name); want != "" && want != checksum(h, body) {
			return nil, s3Error(400, "BadDigest", "The %s you specified did not match the calculated checksum.", strings.ToUpper(name))
		}
	}
	return body, nil
}

var nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)

// checksums are the additional checksums that the sandbox can compute.
func checksums() map[string]hash.Hash {
	return map[string]hash.Hash{
		"crc32": crc32.NewIEEE(), "crc32c": crc32.New(crc32.MakeTable(crc32.Castagnoli)), "crc64nvme": crc64.New(nvme),
		"sha1": sha1.New(), "sha256": sha256.New(),
	}
}

func checksum(h hash.Hash, body []byte) string {
	h.Write(body)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// defaultChecksum is what S3 keeps for an object that came without one: CRC64NVME.
func defaultChecksum(body []byte) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], crc64.Checksum(body, nvme))
	return base64.StdEncoding.EncodeToString(b[:])
}

// unchunk reads the aws-chunked encoding:
// size-in-hex[;chunk-signature=…] CRLF data CRLF … 0 CRLF trailers CRLF.
func unchunk(src *bufio.Reader) ([]byte, http.Header, error) {
	var body bytes.Buffer
	trailer := http.Header{}
	for {
		line, err := chunkLine(src)
		if err != nil {
			return nil, nil, err
		}
		sizeText, _, _ := strings.Cut(line, ";")
		size, err := strconv.ParseUint(sizeText, 16, 31)
		if err != nil {
			return nil, nil, fmt.Errorf("the chunk size %q is not hexadecimal", sizeText)
		}
		if size == 0 {
			break
		}
		if body.Len()+int(size) > mostObject {
			return nil, nil, errTooLarge
		}
		if _, err := io.CopyN(&body, src, int64(size)); err != nil {
			return nil, nil, fmt.Errorf("the body ends within a chunk: %w", err)
		}
		if line, err := chunkLine(src); err != nil || line != "" {
			return nil, nil, fmt.Errorf("a chunk of %d bytes does not end where it should", size)
		}
	}
	for range 16 { // more trailers than anybody sends
		line, err := chunkLine(src)
		if line == "" || err != nil { // the last empty line may be missing
			break
		}
		if k, v, ok := strings.Cut(line, ":"); ok {
			trailer.Set(strings.TrimSpace(k), strings.TrimSpace(v))
		}
	}
	return body.Bytes(), trailer, nil
}

func chunkLine(src *bufio.Reader) (string, error) {
	line, err := src.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}
