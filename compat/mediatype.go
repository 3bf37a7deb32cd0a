package compat

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Content types as the recorded server reads them: the type by its beginning, in any letter case, the parameters not at all,
// but they have to be well formed.
var (
	mediaType  = regexp.MustCompile(`^[!#$%&'*+.^0-9A-Za-z_|~-]+/[!#$%&'*+.^0-9A-Za-z_|~-]+$`)
	parameters = regexp.MustCompile("^(?:; *[!#$%&'*+.^0-9A-Za-z_`|~-]+=" +
		"(?:\"(?:[\\x0b\\x20\\x21\\x23-\\x5b\\x5d-\\x7e\\x{80}-\\x{ff}]|\\\\[\\x0b\\x20-\\x{ff}])*\"|[!#$%&'*+.^0-9A-Za-z_`|~-]+) *)*$")
)

// format is what a request body is.
type format int

const (
	unsupported format = iota
	jsonFormat
	textFormat
	binaryFormat // CBOR or MessagePack: for the upstream
)

// bodyFormat tells what to do with the body of a POST. hasBody is false for requests without a body and without a type.
func bodyFormat(r *http.Request) (f format, hasBody bool) {
	header, typed := r.Header["Content-Type"]
	if !typed {
		return unsupported, r.ContentLength != 0
	}
	kind, rest, ok := strings.Cut(header[0], ";")
	kind = strings.TrimSpace(kind)
	if !mediaType.MatchString(kind) || ok && !parameters.MatchString(";"+rest) {
		return unsupported, true
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
	return unsupported, true
}

// unsupportedType is the recorded 415.
func unsupportedType(r *http.Request) *failure {
	name := "undefined"
	if header, ok := r.Header["Content-Type"]; ok {
		name = header[0]
	}
	return &failure{status: http.StatusUnsupportedMediaType, message: "Unsupported Media Type: " + name}
}

// answerTypes are the types that the recorded server answers in, as its 406 lists them. Ours are all JSON.
var answerTypes = []string{
	"application/json", "application/cbor", "application/x-msgpack", "text/csv", "text/plain", "text/yaml",
	"text/event-stream", "application/x-www-form-urlencoded", "*/*", "",
}

var notAcceptable = "No supported content types found in Accept header, supported types include: " + strings.Join(answerTypes, ", ")

// acceptable tells whether the recorded server would find a type to answer in. It knows no other wildcard than */*.
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
		for _, t := range answerTypes {
			if strings.TrimSpace(kind) == t {
				return true
			}
		}
	}
	return false
}

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
