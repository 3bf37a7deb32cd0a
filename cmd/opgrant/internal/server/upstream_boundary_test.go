package server

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/opgrant/opgrant/config"
)

// hostileRequest is one row: the bytes that a caller sends, and what may come of them.
type hostileRequest struct {
	name    string
	raw     string           // {NAME} stands for credentials
	status  string           // of the first answer
	arrives []string         // the credentials of each request that reaches the upstream, behind a space its cookies
	cutOff  bool             // the beginning of the request may arrive, with the credentials of the administrator
	uri     string           // at the upstream; empty: /
	body    string           // at the upstream; empty: any
	reply   http.HandlerFunc // of the upstream
	without string           // is not in the answer
	with    string           // is in the answer
}

// A body that only the upstream answers, and larger ones.
const (
	anyOperation = `{"operation":"sql","sql":"SELECT 1"}`
	packed       = "\x81\xa9operation\xa3sql" // MessagePack
)

var largeInsert = `{"operation":"insert","records":["` + strings.Repeat("a", 1<<20) + `"]`

// chunked is a body in one chunk, with trailers.
func chunked(body, trailers string) string {
	const digits = "0123456789abcdef"
	size := string([]byte{digits[len(body)>>8&15], digits[len(body)>>4&15], digits[len(body)&15]})
	return size + "\r\n" + body + "\r\n0\r\n" + trailers + "\r\n"
}

func gzipped(body string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(body))
	_ = w.Close()
	return b.String()
}

// smuggled is a request that a server would run if it took a body for a request. It has a cookie, and no other credentials.
func smuggled(name string) string {
	return rawPost(anyOperation, "{COOKIE}", "X-Request-Id: "+name)
}

// withOwnCredentials are the requests to a server that forwards the caller's own credentials.
var withOwnCredentials = []hostileRequest{
	// Nobody.
	{name: "nobody", raw: rawPost(anyOperation), status: "401"},
	{name: "cookie alone", raw: rawPost(anyOperation, "{COOKIE}"), status: "401"},
	{name: "cookie alone, HTTP 1.0", raw: rawRequest("POST / HTTP/1.0", []string{"Content-Type: application/json", "{COOKIE}", "Content-Length: 36"}, anyOperation), status: "401"},
	{name: "cookie with empty Basic", raw: rawPost(anyOperation, "{COOKIE}", "Authorization: {EMPTY}"), status: "401"},
	{name: "cookie with an unknown scheme", raw: rawPost(anyOperation, "{COOKIE}", "Authorization: Digest x"), status: "401"},
	{name: "cookie, msgpack", raw: rawPost(packed, "{COOKIE}", "Content-Type: application/x-msgpack"), status: "401"},
	{name: "cookie, large body", raw: rawPost(largeInsert+"}", "{COOKIE}"), status: "413"},
	{name: "cookie, description", raw: rawRequest("GET /api/openapi/rest HTTP/1.1", []string{"Host: x", "{COOKIE}"}, ""), status: "401"},
	{name: "cookie, preflight", raw: rawRequest("OPTIONS / HTTP/1.1", []string{"Host: x", "Origin: https://app.example", "{COOKIE}"}, ""), status: "200"},
	{name: "credentials in other headers", raw: rawPost(anyOperation, "Proxy-Authorization: {ADMIN}", "X-Authorization: {ADMIN}", "X-Forwarded-User: HDB_ADMIN"), status: "401"},
	{name: "credentials in the query", raw: rawPostTo("/?username=HDB_ADMIN&password=password&access_token=x", anyOperation), status: "401"},
	{name: "credentials in the trailer", raw: rawPost(chunked(anyOperation, "Authorization: {ADMIN}\r\n"), "Transfer-Encoding: chunked", "Trailer: Authorization"), status: "401"},
	{name: "credentials in a folded header", raw: rawPost(anyOperation, "X-Any: 1\r\n Authorization: {ADMIN}"), status: "401"},
	{name: "expects to go on", raw: rawPost(anyOperation, "Expect: 100-continue"), status: "401"},

	// Credentials that are not good.
	{name: "scheme in lower case", raw: rawPost(anyOperation, "Authorization: basic SERCX0FETUlOOnBhc3N3b3Jk"), status: "401"},
	{name: "scheme in upper case", raw: rawPost(anyOperation, "Authorization: BASIC SERCX0FETUlOOnBhc3N3b3Jk"), status: "401"},
	{name: "invalid header before a valid one", raw: rawPost(anyOperation, "Authorization: Bearer x", "Authorization: {ADMIN}"), status: "401"},
	{name: "Basic of a disabled user", raw: rawPost(anyOperation, "Authorization: {DISABLED}"), status: "401"},
	{name: "Basic of a dropped user", raw: rawPost(anyOperation, "Authorization: {DROPPED}"), status: "401"},
	{name: "Basic with the password before the last", raw: rawPost(anyOperation, "Authorization: {CHANGED}"), status: "401"},
	{name: "disabled user in the body", raw: rawPost(`{"operation":"sql","username":"dora","password":"dorapw"}`, "{COOKIE}"), status: "401"},
	{name: "good credentials in the body and bad ones in the header", raw: rawPost(`{"operation":"sql","username":"alice","password":"alicepw"}`, "Authorization: {EXPIRED}"), status: "401"},
	{name: "token of an ended session", raw: rawPost(anyOperation, "Authorization: {ENDED}"), status: "401"},
	{name: "expired token", raw: rawPost(anyOperation, "Authorization: {EXPIRED}"), status: "401"},
	{name: "token without signature", raw: rawPost(anyOperation, "Authorization: {UNSIGNED}"), status: "401"},
	{name: "altered token", raw: rawPost(anyOperation, "Authorization: {ALTERED}"), status: "401"},
	{name: "token with a role", raw: rawPost(anyOperation, "Authorization: {ROLE}"), status: "401"},
	{name: "token for other services", raw: rawPost(anyOperation, "Authorization: {STANDARD}"), status: "401"},
	{name: "refresh token", raw: rawPost(anyOperation, "Authorization: {REFRESH}"), status: "401"},
	{name: "altered token, msgpack", raw: rawPost(packed, "Authorization: {ALTERED}", "Content-Type: application/x-msgpack"), status: "401"},

	// Logins of the upstream.
	{name: "login", raw: rawPost(`{"operation":"login","username":"alice","password":"alicepw"}`), status: "400"},
	{name: "login of a disabled user", raw: rawPost(`{"operation":"login","username":"dora","password":"dorapw"}`), status: "401"},
	{name: "login of a dropped user", raw: rawPost(`{"operation":"login","username":"drew","password":"drewpw"}`), status: "401"},
	{name: "login with the password before the last", raw: rawPost(`{"operation":"login","username":"carol","password":"carolpw"}`), status: "401"},
	{name: "login, large", raw: rawPost(strings.Replace(largeInsert, "insert", "login", 1) + "}"), status: "413"},
	{name: "login, escaped", raw: rawPost(`{"operation":"log\u0069n","username":"alice","password":"alicepw"}`), status: "400"},
	{name: "logout with a cookie", raw: rawPost(`{"operation":"logout"}`, "{COOKIE}"), status: "401"},
	{name: "logout", raw: rawPost(`{"operation":"logout"}`, "{COOKIE}", "Authorization: {ADMIN}"), status: "400"},

	// Bodies that two readers could understand differently.
	{name: "operation twice", raw: rawPost(`{"operation":"sql","operation":"drop_user"}`, "Authorization: {ALICE}"), status: "400"},
	{name: "operation twice, escaped", raw: rawPost(`{"operation":"sql","oper\u0061tion":"drop_user"}`, "Authorization: {ALICE}"), status: "400"},
	{name: "operation of this server, escaped", raw: rawPost(`{"operation":"\u0061dd_user","username":"x"}`, "Authorization: {ALICE}"), status: "403"},
	{name: "second operation behind the first MiB", raw: rawPost(largeInsert+`,"operation":"drop_user"}`, "Authorization: {ADMIN}"), status: "400", cutOff: true},
	{name: "caller behind the first MiB", raw: rawPost(largeInsert+`,"hdb_user":{}}`, "Authorization: {ADMIN}"), status: "400", cutOff: true},
	{name: "caller in the body", raw: rawPost(`{"operation":"sql","hdb_user":{"role":{"permission":{"super_user":true}}}}`, "Authorization: {ALICE}"), status: "400"},
	{name: "bypass_auth in the body", raw: rawPost(`{"operation":"sql","bypass_auth":true}`, "Authorization: {ALICE}"), status: "400"},
	{name: "caller in a nested operation", raw: rawPost(`{"operation":"export_local","search_operation":{"operation":"sql","hdb_user":{}}}`, "Authorization: {ALICE}"), status: "400"},
	{name: "prototype", raw: rawPost(`{"operation":"sql","__proto__":{"operation":"drop_user"}}`, "Authorization: {ALICE}"), status: "400"},
	{name: "list of operations", raw: rawPost("["+anyOperation+"]", "Authorization: {ALICE}"), status: "400"},
	{name: "operation in a list", raw: rawPost(`{"operation":["sql"]}`, "Authorization: {ALICE}"), status: "400"},
	{name: "JSON as text", raw: rawPost(anyOperation, "Authorization: {ALICE}", "Content-Type: text/plain"), status: "400"},
	{name: "CSV", raw: rawPost("operation\nsql", "Authorization: {ALICE}", "Content-Type: text/csv"), status: "415"},
	{name: "multipart", raw: rawPost("--x\r\n", "Authorization: {ALICE}", "Content-Type: multipart/form-data; boundary=x"), status: "415"},
	{name: "login in msgpack", raw: rawPost("\x83\xa9operation\xa5login\xa8username\xa9HDB_ADMIN\xa8password\xa8password", "Authorization: {ALICE}", "Content-Type: application/x-msgpack"), status: "415"},
	{name: "password of another in msgpack", raw: rawPost("\x83\xa9operation\xbccreate_authentication_tokens\xa8username\xa9HDB_ADMIN\xa8password\xa5guess", "Authorization: {ALICE}", "Content-Type: application/x-msgpack"), status: "415"},
	{name: "operation twice in CBOR", raw: rawPost("\xa2\x69operation\x63sql\x69operation\x65login", "Authorization: {ALICE}", "Content-Type: application/cbor"), status: "415"},
	{name: "caller in CBOR", raw: rawPost("\xa2\x69operation\x63sql\x68hdb_user\xa0", "Authorization: {ALICE}", "Content-Type: application/cbor"), status: "400"},
	{name: "nested operation in CBOR", raw: rawPost("\xa2\x69operation\x6cexport_local\x70search_operation\xa0", "Authorization: {ALICE}", "Content-Type: application/cbor"), status: "400"},
	{name: "JSON as msgpack", raw: rawPost(anyOperation, "Authorization: {ALICE}", "Content-Type: application/x-msgpack"), status: "415"},
	{name: "large msgpack", raw: rawPost(packed+strings.Repeat("a", 1<<20), "Authorization: {ALICE}", "Content-Type: application/x-msgpack"), status: "413"},
	{name: "compressed", raw: rawPost(gzipped(anyOperation), "Authorization: {ALICE}", "Content-Encoding: gzip"), status: "400"},

	// Requests within requests, and other things that HTTP forbids.
	{name: "request behind a refused one", raw: rawPost(anyOperation, "X-Request-Id: request behind a refused one") + smuggled("request behind a refused one"), status: "401"},
	{name: "length and chunks", raw: rawPost("0\r\n\r\n"+smuggled("length and chunks"), "Authorization: {ALICE}", "Content-Length: 4", "Transfer-Encoding: chunked"), status: "400"},
	{name: "chunks, hidden", raw: rawPost("0\r\n\r\n"+smuggled("chunks, hidden"), "Authorization: {ALICE}", "Transfer-Encoding: xchunked"), status: "501"},
	{name: "chunks, twice", raw: rawPost("0\r\n\r\n"+smuggled("chunks, twice"), "Authorization: {ALICE}", "Transfer-Encoding: identity", "Transfer-Encoding: x"), status: "501"},
	{name: "chunks, space before the colon", raw: rawPost("0\r\n\r\n"+smuggled("chunks, space before the colon"), "Authorization: {ALICE}", "Transfer-Encoding : chunked"), status: "400"},
	{name: "two lengths", raw: rawPost(anyOperation, "Authorization: {ALICE}", "Content-Length: 36", "Content-Length: 5"), status: "400"},
	{name: "two hosts", raw: rawPost(anyOperation, "Authorization: {ALICE}", "Host: a", "Host: b"), status: "400"},
	{name: "zero byte in a header", raw: rawPost(anyOperation, "Authorization: {ALICE}", "X-Any: a\x00b"), status: "400"},
	{name: "unknown expectation", raw: rawPost(anyOperation, "Authorization: {ALICE}", "Expect: the-unexpected"), status: "417"},
	{name: "long header", raw: rawPost(anyOperation, "Authorization: {ALICE}", "X-Any: "+strings.Repeat("a", 17<<10)), status: "431"},

	// Other paths.
	{name: "two slashes", raw: rawPostTo("//", anyOperation, "Authorization: {ADMIN}"), status: "404"},
	{name: "dots", raw: rawPostTo("/../", anyOperation, "Authorization: {ADMIN}"), status: "404"},
	{name: "escaped dots", raw: rawPostTo("/%2e%2e/", anyOperation, "Authorization: {ADMIN}"), status: "404"},
	{name: "escaped dot", raw: rawPostTo("/%2e", anyOperation, "Authorization: {ADMIN}"), status: "404"},
	{name: "path of an application", raw: rawPostTo("/Dog/1", anyOperation, "Authorization: {ADMIN}"), status: "404"},
	{name: "another method by header", raw: rawRequest("GET / HTTP/1.1", []string{"Host: x", "Authorization: {ADMIN}", "X-HTTP-Method-Override: POST"}, ""), status: "404"},

	// Requests that are forwarded, without what the caller has added.
	{name: "token", raw: rawPost(anyOperation, "Authorization: {ALICE}"), status: "200", arrives: []string{"{ALICE}"}, body: anyOperation, without: "Set-Cookie"},
	{name: "header name in lower case", raw: rawPost(anyOperation, "authorization: {ADMIN}"), status: "200", arrives: []string{"{ADMIN}"}},
	{name: "cookie beside Basic", raw: rawPost(anyOperation, "{COOKIE}", "Authorization: {ADMIN}"), status: "200", arrives: []string{"{ADMIN}"}, without: "Set-Cookie"},
	{name: "connection names authorization", raw: rawPost(anyOperation, "Authorization: {ADMIN}", "Connection: authorization, keep-alive"), status: "200", arrives: []string{"{ADMIN}"}},
	{name: "connection names what we set", raw: rawPost(anyOperation, "Authorization: {ADMIN}", "Connection: x-forwarded-for, content-type", "Connection: content-length"), status: "200", arrives: []string{"{ADMIN}"}, body: anyOperation},
	{name: "valid header before an invalid one", raw: rawPost(anyOperation, "Authorization: {ALICE}", "Authorization: {ADMIN}"), status: "200", arrives: []string{"{ALICE}"}},
	{name: "user in the body", raw: rawPost(`{"operation":"sql","username":"alice","password":"alicepw"}`), status: "200", arrives: []string{"{ALICE_BASIC}"}},
	{name: "other credentials beside the token", raw: rawPost(anyOperation, "Authorization: {ALICE}", "Proxy-Authorization: {ADMIN}", "X-Authorization: {ADMIN}", "X-Api-Key: k"), status: "200", arrives: []string{"{ALICE}"}},
	{name: "forwarded for another", raw: rawPost(anyOperation, "Authorization: {ALICE}", "X-Forwarded-For: 127.0.0.2", "Forwarded: for=127.0.0.2", "X-Real-Ip: 127.0.0.2", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https"), status: "200", arrives: []string{"{ALICE}"}},
	{name: "trailers", raw: rawPost(chunked(anyOperation, "Authorization: {ADMIN}\r\nX-Any: 1\r\n"), "Authorization: {ALICE}", "Transfer-Encoding: chunked", "Trailer: Authorization, X-Any"), status: "200", arrives: []string{"{ALICE}"}, body: anyOperation},
	{name: "another host in the request line", raw: rawPostTo("http://evil.example/", anyOperation, "Authorization: {ALICE}"), status: "200", arrives: []string{"{ALICE}"}},
	{name: "another host", raw: rawPost(anyOperation, "Host: evil.example", "Authorization: {ALICE}"), status: "200", arrives: []string{"{ALICE}"}},
	{name: "query", raw: rawPostTo("/?username=HDB_ADMIN&password=password", anyOperation, "Authorization: {ALICE}"), status: "200", arrives: []string{"{ALICE}"}},
	{name: "method override", raw: rawPost(anyOperation, "Authorization: {ALICE}", "X-HTTP-Method-Override: DELETE"), status: "200", arrives: []string{"{ALICE}"}},
	{name: "upgrade to a web socket", raw: rawPost(anyOperation, "Authorization: {ALICE}", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x"), status: "200", arrives: []string{"{ALICE}"}},
	{name: "upgrade to HTTP 2", raw: rawPost(anyOperation, "Authorization: {ALICE}", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x"), status: "200", arrives: []string{"{ALICE}"}},
	{name: "expects to go on, with a token", raw: rawPost(anyOperation, "Authorization: {ALICE}", "Expect: 100-continue"), status: "200", arrives: []string{"{ALICE}"}},
	{name: "accepts trailers", raw: rawPost(anyOperation, "Authorization: {ALICE}", "TE: trailers", "Connection: TE", "Keep-Alive: 9"), status: "200", arrives: []string{"{ALICE}"}},
	{name: "encoding that it does not have", raw: rawPost(anyOperation, "Authorization: {ALICE}", "Content-Encoding: gzip"), status: "200", arrives: []string{"{ALICE}"}, body: anyOperation},
	{name: "two content types", raw: rawPost(anyOperation, "Authorization: {ALICE}", "Content-Type: application/json", "Content-Type: application/cbor"), status: "200", arrives: []string{"{ALICE}"}},
	{name: "msgpack", raw: rawPost(packed, "Authorization: {ALICE}", "{COOKIE}", "Content-Type: application/x-msgpack"), status: "200", arrives: []string{"{ALICE}"}, body: packed, without: "Set-Cookie"},
	{name: "large body", raw: rawPost(largeInsert+"}", "Authorization: {ALICE}", "{COOKIE}"), status: "200", arrives: []string{"{ALICE}"}, without: "Set-Cookie"},
	{name: "description", raw: rawRequest("GET /api/openapi/rest?a=b HTTP/1.1", []string{"Host: x", "Authorization: {ALICE}", "{COOKIE}"}, ""), status: "200", arrives: []string{"{ALICE}"}, uri: "/api/openapi/rest"},
	{name: "request behind a forwarded one", raw: rawPost(anyOperation, "Authorization: {ALICE}", "X-Request-Id: request behind a forwarded one") + smuggled("request behind a forwarded one"), status: "200", arrives: []string{"{ALICE}"}},

	// Answers of the upstream.
	{name: "redirect", raw: rawPost(anyOperation, "Authorization: {ALICE}"), status: "502", arrives: []string{"{ALICE}"}, reply: answering(307, "Location", "/elsewhere"), without: "elsewhere"},
	{name: "another protocol", raw: rawPost(anyOperation, "Authorization: {ALICE}"), status: "502", arrives: []string{"{ALICE}"}, reply: answering(101)},
	{name: "credentials refused there", raw: rawPost(anyOperation, "Authorization: {ALICE}"), status: "502", arrives: []string{"{ALICE}"}, reply: answering(401), with: "which are valid here"},
	{name: "informational answer with a cookie", raw: rawPost(anyOperation, "Authorization: {ALICE}"), status: "200", arrives: []string{"{ALICE}"}, without: "Set-Cookie", with: "Server: HarperDB", reply: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "hdb-session=x")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
	}},
	{name: "headers that only this server sets", raw: rawPost(anyOperation, "Authorization: {ALICE}"), status: "200", arrives: []string{"{ALICE}"}, without: "evil", reply: answering(200, "Access-Control-Allow-Origin", "https://evil.example", "Set-Cookie", "evil=1")},
}

// answering returns an answer of the upstream with these headers.
func answering(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
	}
}

// withServiceAccount are the requests to a server that forwards under an account of its own.
var withServiceAccount = []hostileRequest{
	{name: "cookie alone", raw: rawPost(anyOperation, "{COOKIE}"), status: "401"},
	{name: "msgpack", raw: rawPost(packed, "Authorization: {ADMIN}", "Content-Type: application/x-msgpack"), status: "415"},
	{name: "CBOR", raw: rawPost("\xa1", "Authorization: {ALICE}", "Content-Type: application/cbor"), status: "415"},
	{name: "operation that is not listed", raw: rawPost(anyOperation, "Authorization: {ALICE}"), status: "403"},
	{name: "operation that nobody knows", raw: rawPost(`{"operation":"new_in_version_9"}`, "Authorization: {ALICE}"), status: "403"},
	{name: "listed, in another letter case", raw: rawPost(`{"operation":"Search_by_value"}`, "Authorization: {ALICE}"), status: "403"},
	{name: "nested operation that is not listed", raw: rawPost(`{"operation":"export_local","search_operation":{"operation":"sql"}}`, "Authorization: {ALICE}"), status: "403"},
	{name: "nested operation that is none", raw: rawPost(`{"operation":"export_local","search_operation":"sql"}`, "Authorization: {ALICE}"), status: "403"},
	{name: "large body", raw: rawPost(strings.Replace(largeInsert, "insert", "search_by_value", 1)+"}", "Authorization: {ALICE}"), status: "403"},
	{name: "description", raw: rawRequest("GET /api/openapi/rest HTTP/1.1", []string{"Host: x", "Authorization: {ALICE}"}, ""), status: "403"},
	{name: "disabled user", raw: rawPost(`{"operation":"search_by_value"}`, "Authorization: {DISABLED}"), status: "401"},
	{name: "listed", raw: rawPost(`{"operation":"search_by_value"}`, "Authorization: {ALICE}"), status: "200", arrives: []string{"{ACCOUNT}"}},
	{name: "nested and listed", raw: rawPost(`{"operation":"export_local","search_operation":{"operation":"search_by_value"}}`, "Authorization: {ALICE}"), status: "200", arrives: []string{"{ACCOUNT}"}},
	{name: "super user", raw: rawPost(anyOperation, "Authorization: {ADMIN}", "Connection: authorization", "{COOKIE}"), status: "200", arrives: []string{"{ACCOUNT}"}, without: "Set-Cookie"},
	{name: "super user, large body", raw: rawPost(largeInsert+"}", "Authorization: {ADMIN}"), status: "200", arrives: []string{"{ACCOUNT}"}},
	{name: "account refused there", raw: rawPost(anyOperation, "Authorization: {ADMIN}"), status: "502", arrives: []string{"{ACCOUNT}"}, reply: answering(401), with: "the account of this server"},
}

const sessionCookie = "127_0.0.1:9925-hdb-session=1b671a64"

// withCookies are the requests to a server that lets session cookies of the upstream pass.
var withCookies = []hostileRequest{
	{name: "cookie alone", raw: rawPost(anyOperation, "{COOKIE}"), status: "401"},
	{name: "cookie with invalid credentials", raw: rawPost(anyOperation, "{COOKIE}", "Authorization: {ENDED}"), status: "401"},
	{name: "logout with a cookie alone", raw: rawPost(`{"operation":"logout"}`, "{COOKIE}"), status: "401"},
	{name: "login of a disabled user", raw: rawPost(`{"operation":"login","username":"dora","password":"dorapw"}`), status: "401"},
	{name: "login of a dropped user", raw: rawPost(`{"operation":"login","username":"drew","password":"drewpw"}`), status: "401"},
	{name: "login with the password before the last", raw: rawPost(`{"operation":"login","username":"carol","password":"carolpw"}`, "{COOKIE}"), status: "401"},
	{name: "login without a password", raw: rawPost(`{"operation":"login","username":"alice"}`, "{COOKIE}"), status: "401"},
	{name: "login with a list", raw: rawPost(`{"operation":"login","username":["alice"],"password":"alicepw"}`), status: "401"},
	{
		name: "login", raw: rawPost(`{"operation":"login","hdb_user":{},"username":"alice","password":"alicepw"}`, "{COOKIE}", "Authorization: {ADMIN}"),
		status: "200", arrives: []string{"login"}, body: `{"operation":"login","username":"alice","password":"alicepw"}`, with: "Set-Cookie: " + sessionCookie, without: "other=1",
	},
	{
		name: "login from an origin that is not listed", raw: rawPost(`{"operation":"login","username":"alice","password":"alicepw"}`, "Origin: https://evil.example"),
		status: "200", arrives: []string{"login"}, without: "Set-Cookie",
	},
	{name: "no origin", raw: rawPost(anyOperation, "{COOKIE}; a=b; hdb-session", "Authorization: {ALICE}"), status: "200", arrives: []string{"{ALICE} " + sessionCookie}, with: "Set-Cookie: " + sessionCookie},
	{name: "listed origin", raw: rawPost(anyOperation, "{COOKIE}", "Origin: https://app.example", "Authorization: {ALICE}"), status: "200", arrives: []string{"{ALICE} " + sessionCookie}},
	{name: "other origin", raw: rawPost(anyOperation, "{COOKIE}", "Origin: https://evil.example", "Authorization: {ALICE}"), status: "200", arrives: []string{"{ALICE}"}, without: "Set-Cookie"},
	{name: "null origin", raw: rawPost(anyOperation, "{COOKIE}", "Origin: null", "Authorization: {ALICE}"), status: "200", arrives: []string{"{ALICE}"}, without: "Set-Cookie"},
	{name: "two origins", raw: rawPost(anyOperation, "{COOKIE}", "Origin: https://app.example", "Origin: https://evil.example", "Authorization: {ALICE}"), status: "200", arrives: []string{"{ALICE}"}, without: "Set-Cookie"},
	{name: "another site without an origin", raw: rawPost(anyOperation, "{COOKIE}", "Sec-Fetch-Site: cross-site", "Authorization: {ALICE}"), status: "200", arrives: []string{"{ALICE}"}, without: "Set-Cookie"},
}

// TestUpstreamBoundary sends hostile requests to the program in front of a server that records everything. What reaches that
// server has exactly the credentials that were proved here, or the configured ones; what is refused does not reach it.
func TestUpstreamBoundary(t *testing.T) {
	for _, variant := range []struct {
		name   string
		change func(*config.Config)
		rows   []hostileRequest
	}{
		{"own credentials", func(*config.Config) {}, withOwnCredentials},
		{"service account", func(c *config.Config) {
			c.Compat.UpstreamUsername, c.Compat.UpstreamPassword = "service", "servicepw"
			c.Compat.UpstreamOperations = []string{"search_by_value", "export_local"}
		}, withServiceAccount},
		{"cookies", func(c *config.Config) { c.Compat.UpstreamCookies = true }, withCookies},
	} {
		t.Run(variant.name, func(t *testing.T) {
			b := startBoundary(t, variant.change)
			for _, row := range variant.rows {
				if row.reply != nil {
					b.upstream.reply[row.name] = row.reply
				}
			}
			answers := make([]string, len(variant.rows))
			for i, row := range variant.rows {
				raw := row.raw
				if !strings.Contains(raw, "X-Request-Id: ") {
					raw = strings.Replace(raw, "\r\n", "\r\nX-Request-Id: "+row.name+"\r\n", 1)
				}
				answers[i] = sendRaw(t, b.address, b.known.Replace(raw))
			}
			b.upstream.Close() // waits for the requests that are still on their way
			for i, row := range variant.rows {
				t.Run(row.name, func(t *testing.T) {
					if got := firstStatus(answers[i]); got != row.status {
						t.Errorf("status %s, want %s: %.500s", got, row.status, answers[i])
					}
					if row.without != "" && strings.Contains(answers[i], row.without) || !strings.Contains(answers[i], row.with) {
						t.Errorf("answer %.500s", answers[i])
					}
					b.judge(t, row)
				})
			}
			for id, list := range b.upstream.arrivals {
				if !slices.ContainsFunc(variant.rows, func(row hostileRequest) bool { return row.name == id }) {
					t.Errorf("arrived outside of the rows: %+v", list)
				}
			}
		})
	}
}
