package compat

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// The syntax of a Content-Type header. The recorded server compares only the beginning of the type, in any letter case, and
// ignores the parameters if they are well formed.
var (
	mediaType  = regexp.MustCompile(`^[!#$%&'*+.^0-9A-Za-z_|~-]+/[!#$%&'*+.^0-9A-Za-z_|~-]+$`)
	parameters = regexp.MustCompile("^(?:; *[!#$%&'*+.^0-9A-Za-z_`|~-]+=" +
		"(?:\"(?:[\\x0b\\x20\\x21\\x23-\\x5b\\x5d-\\x7e\\x{80}-\\x{ff}]|\\\\[\\x0b\\x20-\\x{ff}])*\"|[!#$%&'*+.^0-9A-Za-z_`|~-]+) *)*$")
)

// format is the format of a request body.
type format int

const (
	unsupportedFormat format = iota
	jsonFormat
	textFormat
	binaryFormat // CBOR or MessagePack, for the upstream
)

// bodyFormat returns the format of the body. hasBody is false if there is neither a body nor a Content-Type.
func bodyFormat(r *http.Request) (f format, hasBody bool) {
	header, typed := r.Header["Content-Type"]
	if !typed {
		return unsupportedFormat, r.ContentLength != 0
	}
	kind, rest, ok := strings.Cut(header[0], ";")
	kind = strings.TrimSpace(kind)
	if !mediaType.MatchString(kind) || ok && !parameters.MatchString(";"+rest) {
		return unsupportedFormat, true
	}
	kind = strings.ToLower(kind)
	switch {
	case strings.HasPrefix(kind, "application/json"):
		return jsonFormat, true
	case strings.HasPrefix(kind, "text/plain"):
		return textFormat, true
	case strings.HasPrefix(kind, "application/cbor"), strings.HasPrefix(kind, "application/x-msgpack"):
		return binaryFormat, true
	}
	return unsupportedFormat, true
}

// unsupportedMediaType is the answer to a body in another format.
func unsupportedMediaType(r *http.Request) *apiError {
	name := "undefined"
	if header := r.Header["Content-Type"]; len(header) > 0 && header[0] != "" {
		name = header[0]
	}
	return &apiError{status: http.StatusUnsupportedMediaType, message: "Unsupported Media Type: " + name}
}

// acceptedTypes are the types that may be in an Accept header, as the answer to other types lists them. Answers are JSON for
// each of them.
var acceptedTypes = []string{
	"application/json", "application/cbor", "application/x-msgpack", "text/csv", "text/plain", "text/yaml",
	"text/event-stream", "application/x-www-form-urlencoded", "*/*", "",
}

var notAcceptableText = "No supported content types found in Accept header, supported types include: " + strings.Join(acceptedTypes, ", ")

// acceptable tells whether the Accept header names one of acceptedTypes. No wildcard but */* is known.
func acceptable(r *http.Request) bool {
	accept := strings.Join(r.Header.Values("Accept"), ", ")
	if accept == "" {
		return true
	}
	for entry := range strings.SplitSeq(strings.ToLower(accept), ",") {
		kind, params, _ := strings.Cut(strings.TrimSpace(entry), ";")
		if quality(params) <= 0 {
			continue
		}
		for _, t := range acceptedTypes {
			if strings.TrimSpace(kind) == t {
				return true
			}
		}
	}
	return false
}

// quality returns the weight of an entry in an Accept header: RFC 9110, section 12.4.2.
func quality(params string) float64 {
	q := 1.0
	for p := range strings.SplitSeq(params, ";") {
		if v, ok := strings.CutPrefix(strings.TrimSpace(p), "q="); ok {
			f, err := strconv.ParseFloat(v, 64)
			if err != nil {
				return 0
			}
			q = f
		}
	}
	return q
}
