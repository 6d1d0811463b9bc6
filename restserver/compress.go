package restserver

import (
	"bytes"
	"compress/gzip"
	"strconv"
	"strings"
)

// minCompressed is the smallest body that is compressed: below it there is nothing to gain.
const minCompressed = 1024

// acceptsGzip reads the Accept-Encoding header (RFC 9110 §12.5.3).
func acceptsGzip(headers []string) bool {
	gzipQuality, anyQuality := -1.0, -1.0
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		coding, params, _ := strings.Cut(part, ";")
		quality := 1.0
		if name, value, ok := strings.Cut(params, "="); ok && strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				q = 0 // who cannot be understood gets the plain body
			}
			quality = q
		}
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			gzipQuality = quality
		case "*":
			anyQuality = quality
		}
	}
	if gzipQuality < 0 {
		gzipQuality = anyQuality
	}
	return gzipQuality > 0
}

func compress(body []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // the level is one
	_, _ = w.Write(body)                            // to memory
	_ = w.Close()
	return b.Bytes()
}
