package restserver

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/chat-operator/chat-operator/restserver/entity"
)

const (
	// maxBody is the largest request body.
	maxBody = 1 << 20
	// maxListBody is that of a call that takes a list of what others take one of.
	maxListBody = 8 << 20
)

// preference is how much a request likes one of the formats.
type preference struct {
	quality float64
	// precision is 2 for the type itself, 1 for application/*, 0 for */*.
	precision int
	position  int
	stated    bool
}

// better says whether p is to be preferred to q: quality first, then the range that
// says it more precisely, then what the caller listed first.
func (p preference) better(q preference) bool {
	if p.quality != q.quality {
		return p.quality > q.quality
	}
	if p.precision != q.precision {
		return p.precision > q.precision
	}
	return p.position < q.position
}

// accepted reads the Accept header (RFC 9110 §12.5.1). ok is false when neither
// format will do; stated is false when the request doesn't care which.
func accepted(headers []string) (f entity.Format, stated, ok bool) {
	xml, json, any := preferences(headers)
	switch {
	case !any:
		return entity.XML, false, true
	case xml.quality == 0 && json.quality == 0:
		return entity.XML, false, false
	case json.better(xml):
		return entity.JSON, true, true
	default:
		return entity.XML, xml.better(json), true
	}
}

// acceptsXML says whether XML will do, be it liked less than something else.
func acceptsXML(headers []string) bool {
	xml, _, any := preferences(headers)
	return !any || xml.quality > 0
}

// preferences reads the Accept header; any is false when it says nothing.
func preferences(headers []string) (xml, json preference, any bool) {
	header := strings.Join(headers, ",")
	if strings.Trim(header, ", \t") == "" { // absent, or a list of no types (RFC 9110 §5.6.1)
		return xml, json, false
	}
	position := 0
	for part := range strings.SplitSeq(header, ",") {
		position++
		mediaRange, params, _ := strings.Cut(part, ";")
		quality := qualityOf(params)
		switch strings.ToLower(strings.TrimSpace(mediaRange)) {
		case "application/xml":
			xml.consider(quality, 2, position)
		case "application/json":
			json.consider(quality, 2, position)
		case "application/*":
			xml.consider(quality, 1, position)
			json.consider(quality, 1, position)
		case "*/*", "*":
			xml.consider(quality, 0, position)
			json.consider(quality, 0, position)
		}
	}
	return xml, json, true
}

// consider takes a media range in: the most precise one that matches a type counts.
func (p *preference) consider(quality float64, precision, position int) {
	if !p.stated || precision > p.precision {
		*p = preference{quality: quality, precision: precision, position: position, stated: true}
	}
}

// qualityOf reads the weight of a media range; one that cannot be read is 1, since the
// caller did name the type.
func qualityOf(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			if q, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && q >= 0 && q <= 1 {
				return q
			}
		}
	}
	return 1
}

// contentFormat reads the Content-Type header.
func contentFormat(header string) (f entity.Format, charset string, ok bool) {
	mediaType, params, err := mime.ParseMediaType(header)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		// What follows the type is of no interest unless it can be read.
		mediaType, _, _ = strings.Cut(header, ";")
		mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	}
	switch mediaType {
	case "application/xml":
		return entity.XML, params["charset"], true
	case "application/json":
		return entity.JSON, params["charset"], true
	}
	return entity.XML, "", false
}

// errorFormat is how an error is written: as a success would be; and where the
// request accepts everything or nothing of what there is and no success of the
// operation has a body, as the request's own body is.
func (c *call) errorFormat() entity.Format {
	f, stated, ok := accepted(c.request.Header.Values("Accept"))
	if stated {
		return f
	}
	if ok && (c.request.Method == http.MethodGet || c.request.Method == http.MethodHead) {
		return f
	}
	if own, _, known := contentFormat(c.request.Header.Get("Content-Type")); known {
		return own
	}
	return f
}

// negotiate decides the format of the answer, and whether the body can be read.
func (c *call) negotiate(op *operation) error {
	if op.takes {
		header := c.request.Header.Get("Content-Type")
		f, _, known := contentFormat(header)
		if op.xmlOnly && known && f != entity.XML {
			return problem(http.StatusUnsupportedMediaType, "NotSupportedException", "send the body as application/xml", c.request.URL.Path)
		}
		if !known && (header != "" || c.hasBody()) {
			return problem(http.StatusUnsupportedMediaType, "NotSupportedException",
				"send the body as application/xml or application/json, and say so in Content-Type", c.request.URL.Path)
		}
		switch encoding := strings.ToLower(c.request.Header.Get("Content-Encoding")); encoding {
		case "", "identity":
		default:
			return problem(http.StatusUnsupportedMediaType, "NotSupportedException",
				"send the body without a Content-Encoding", c.request.URL.Path)
		}
	}
	if !op.answers {
		return nil
	}
	if op.xmlOnly {
		if !acceptsXML(c.request.Header.Values("Accept")) {
			return problem(http.StatusNotAcceptable, "NotAcceptableException", "the answer can be application/xml only", c.request.URL.Path)
		}
		return nil // an error of it is in the format that the caller likes best
	}
	f, _, ok := accepted(c.request.Header.Values("Accept"))
	if !ok {
		return problem(http.StatusNotAcceptable, "NotAcceptableException",
			"the answer can be application/xml or application/json", c.request.URL.Path)
	}
	c.format = f
	return nil
}

// hasBody says whether a body was announced; one of unknown length may turn out
// to be empty, which readBody finds out.
func (c *call) hasBody() bool { return c.request.ContentLength > 0 }

// readBody reads and parses the request's body.
func (c *call) readBody(w http.ResponseWriter, op *operation) error {
	most := cmp.Or(op.most, maxBody)
	data, err := io.ReadAll(http.MaxBytesReader(w, c.request.Body, int64(most)))
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return problem(http.StatusRequestEntityTooLarge, "PayloadTooLargeException",
				"the body is larger than "+strconv.Itoa(most)+" bytes", c.request.URL.Path)
		}
		return badRequest("the body could not be read to its end", c.request.URL.Path)
	}
	if op.optional && len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	header := c.request.Header.Get("Content-Type")
	if header == "" {
		if len(data) > 0 {
			return problem(http.StatusUnsupportedMediaType, "NotSupportedException",
				"say in Content-Type whether the body is application/xml or application/json", c.request.URL.Path)
		}
		return nil
	}
	f, charset, _ := contentFormat(header)
	if op.xmlOnly {
		c.document, c.charset = data, charset
		return nil
	}
	if c.body, err = entity.Parse(f, charset, data); err != nil {
		return explain(err, refusal{resource: c.request.URL.Path})
	}
	return nil
}
