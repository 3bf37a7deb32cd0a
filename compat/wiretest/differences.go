package wiretest

import (
	"regexp"
	"strings"
)

// Difference is one row of the table of what is answered otherwise on purpose.
type Difference struct {
	// Cases are the names of the exchanges; a name may end in * and then names all that begin so.
	Cases []string
	// Why is the row of the table in the documentation of package compat.
	Why string
	// Status and Body are what is answered instead. Body is a regular expression for the whole scrubbed body.
	Status int
	Body   string
}

// find returns the row that names an exchange.
func find(name string) (Difference, bool) {
	for _, d := range Differences {
		for _, c := range d.Cases {
			if prefix, ok := strings.CutSuffix(c, "*"); ok && strings.HasPrefix(name, prefix) || c == name {
				return d, true
			}
		}
	}
	return Difference{}, false
}

func (d Difference) meets(got answer) bool {
	return got.status == d.Status && regexp.MustCompile(`^(?s:`+d.Body+`)$`).MatchString(scrub(got.body))
}

// Texts of answers that several rows share.
const (
	gone         = `\{"error":"invalid token"\}`
	mustBeString = `\{"error":"'operation' must be a string"\}`
	syntax       = `\{"error":"Unexpected [^"]*"\}`
	duplicate    = `\{"error":"Duplicate property name in JSON at position \d+"\}`
	adminInfo    = `\{"active":true,"username":"HDB_ADMIN",.*\}`
)

// The rows of the table, in the words of the documentation of package compat.
const (
	bodyRefresh  = "a refresh token in the body is all that refresh_operation_token takes"
	noVerdict    = "an expired token is expired, used before or not"
	sessionsEnd  = "a changed password and a dropped user end the sessions of that user"
	readAnew     = "super_user is read anew at each refresh"
	callersFault = "what is the caller's fault is 400, not 500"
	bodyLimit    = "bodies are limited to 1 MiB"
	ownSessions  = "each login is a session of its own"
	noDuplicates = "a key that stands twice is 400"
	ownTexts     = "texts about JSON syntax are our own"
	jsonOnly     = "answers are JSON, and there are no cookies and no database"
)

// Differences is the table.
var Differences = []Difference{
	{[]string{"p2/refresh/refresh_token in body, no auth header"}, bodyRefresh, 200, `\{"operation_token":"<JWT>"\}`},
	{[]string{"p5/expiry/expired op token, previously used (auth cache hit)"}, noVerdict, 401, `\{"error":"token expired"\}`},
	{[]string{
		"p2/lifecycle/op token after password change", "p2/lifecycle/refresh after password change",
		"p2/lifecycle/op token after drop: *", "p2/lifecycle/old op token after re-add",
	}, sessionsEnd, 401, gone},
	{[]string{"p2/lifecycle/refresh after promotion: super_user claim?"}, readAnew, 200, `\{"operation_token":"<JWT>"\}`},
	{[]string{`p1/create/expires_in 1.5`, `p1/create/expires_in "abc"`}, callersFault, 400, `\{"error":"\\"expiresIn\\" should be .*"\}`},
	{[]string{
		"p3/malformed/operation false + auth", "p3/malformed/operation [] + auth", "p3/malformed/operation {} + auth",
		`p3/malformed/operation ["user_info"] + auth`, `p3/malformed/operation ["create_authentication_tokens"] + auth`,
	}, callersFault, 400, mustBeString},
	{[]string{"p4/users/alter_user empty password", "p4/users/alter_user empty role"}, callersFault, 400, `\{"error":"nothing to update, .*"\}`},
	{[]string{"p4/users/alter_user active string", "p4/users/alter_user active 0"}, callersFault, 400, `\{"error":"active must be true or false"\}`},
	{[]string{"p4/users/alter_user empty role only w/ pw"}, callersFault, 400, `\{"error":"If role is specified, it cannot be empty."\}`},
	{[]string{"p3/malformed/2 MB body", "p3/malformed/30 MB body"}, bodyLimit, 413, `\{"error":"Request body is too large"\}`},
	{[]string{"p2/refresh/refresh with token of create #1 after same-second create #2"}, ownSessions, 401, gone},
	{[]string{"p3/malformed/duplicate *"}, noDuplicates, 400, duplicate},
	{[]string{
		"p3/malformed/not JSON", "p3/malformed/trailing comma", "p3/malformed/single quotes", "p3/malformed/comment",
		"p3/malformed/trailing garbage", "p3/malformed/two objects",
	}, ownTexts, 400, syntax},

	{[]string{
		"p3/accept/Accept text/plain user_info", "p3/accept/Accept application/cbor user_info", "p3/accept/Accept text/csv user_info",
		"p3/accept/Accept application/x-msgpack user_info", "p3/accept/Accept text/event-stream user_info",
		"p3/accept/Accept application/json;q=0.1, application/cbor user_info",
	}, jsonOnly, 200, adminInfo},
	{[]string{
		"p3/accept/Accept text/plain error", "p3/accept/Accept application/cbor error", "p3/accept/Accept text/csv error",
		"p3/accept/Accept application/x-msgpack error", "p3/accept/Accept text/event-stream error",
		"p3/accept/Accept application/json;q=0.1, application/cbor error",
		"p4/session/user_info with cookie", "p4/session/create_authentication_tokens with cookie",
		"p4/session/logout *", "p4/session/login no creds", "p4/session/login no password",
	}, jsonOnly, 401, `\{"error":"Must login"\}`},
	{[]string{"p3/accept/Accept cbor bad Basic"}, jsonOnly, 401, `\{"error":"Login failed"\}`},
	{[]string{
		"p4/session/login happy", "p4/session/login again with cookie", "p4/session/login with *", "p4/session/login + Basic admin",
		"p2/storage/*", "p4/storage/*",
	}, jsonOnly, 400, `\{"error":"Operation '\w+' not found"\}`},
}
