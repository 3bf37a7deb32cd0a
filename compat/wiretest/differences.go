package wiretest

import (
	"maps"
	"regexp"
	"strings"
	"time"
)

// Difference is a group of exchanges that are answered differently for one reason.
type Difference struct {
	// Cases are the names of the exchanges. A name that ends in * stands for all names with that beginning.
	Cases []string
	// Row is the second column of the row in the documentation of package compat that explains the difference.
	Row string
	// Status and Body are the answer. Body is a regular expression for the whole body, with placeholders for what varies.
	Status int
	Body   string
	// Expires is the claim exp of the operation token, as in a recording: iat+86400. All other claims are the recorded ones.
	// Empty: the tokens are not compared.
	Expires string
	// Wait is how long the replay waits after the exchange, so that the next ones are answered as recorded.
	Wait time.Duration
}

// find returns the difference that names an exchange.
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

func (d Difference) matches(c Case, got answer) bool {
	if d.Expires != "" && len(compareTokens(c.expiring(d.Expires), got.body)) > 0 {
		return false
	}
	return got.status == d.Status && regexp.MustCompile(`^(?s:`+d.Body+`)$`).MatchString(Scrub(string(got.body)))
}

// expiring returns the case with another exp of its operation token.
func (c Case) expiring(exp string) Case {
	const member = "operation_token"
	token := c.Expect.JWT[member]
	token.Claims = maps.Clone(token.Claims)
	token.Claims["exp"] = exp
	c.Expect.JWT = maps.Clone(c.Expect.JWT)
	c.Expect.JWT[member] = token
	return c
}

// Bodies that several differences share.
const (
	refused      = `\{"error":"invalid token"\}`
	mustBeString = `\{"error":"'operation' must be a string"\}`
	syntaxError  = `\{"error":"Unexpected token in JSON at position \d+"\}`
	duplicate    = `\{"error":"Duplicate property name in JSON at position \d+"\}`
	adminInfo    = `\{"active":true,"username":"HDB_ADMIN",.*\}`
	bothTokens   = `\{"operation_token":"<JWT>","refresh_token":"<JWT>"\}`
)

// The second column of the table in the documentation of package compat.
const (
	refreshInBody  = "200, refresh_token in the body is enough"
	alwaysExpired  = "401 token expired, used before or not"
	sessionsEnd    = "both end the sessions of the user"
	superUserNow   = "super_user is read at each refresh"
	atLeastASecond = "valid for a second at least"
	withTheRefresh = "valid for no longer than the refresh token"
	ownRole        = "400 for a role that is not the user's"
	withTheToken   = "valid for no longer than that token"
	callerError    = "400 for an error of the caller"
	unknownMethod  = "404, as for every other method"
	bodyLimit      = "413 beyond 1 MiB"
	ownSessions    = "each login is a session of its own"
	newUsers       = "400 with what is wrong"
	noDuplicates   = "400 for a key that occurs twice"
	syntaxPosition = "Unexpected token in JSON at position N"
	listedOrigins  = "only origins that are listed may call"
	jsonOnly       = "JSON only, no cookies, no database"
)

// Differences are all exchanges that are answered differently on purpose.
var Differences = []Difference{
	{
		Cases: []string{
			`p1/create/expires_in 0`, `p1/create/expires_in -5`, `p1/create/expires_in "60"`, `p1/create/expires_in "-1h"`,
		},
		Row: atLeastASecond, Status: 200, Body: bothTokens, Expires: "iat+1",
	},
	{
		Cases: []string{`p5/expiry/tok negative expires_in`},
		Row:   atLeastASecond, Status: 200, Body: bothTokens, Expires: "iat+1", Wait: 1100 * time.Millisecond,
	},
	{
		Cases: []string{`p1/create/expires_in "1y"`, `p1/create/expires_in 1000000000000.0`, `p1/create/expires_in 4294967296`},
		Row:   withTheRefresh, Status: 200, Body: bothTokens, Expires: "iat+2592000",
	},
	{[]string{"p2/refresh/refresh_token in body, no auth header"}, refreshInBody, 200, `\{"operation_token":"<JWT>"\}`, "", 0},
	{[]string{"p5/expiry/expired op token, previously used (auth cache hit)"}, alwaysExpired, 401, `\{"error":"token expired"\}`, "", 0},
	{[]string{
		"p2/lifecycle/op token after password change", "p2/lifecycle/refresh after password change",
		"p2/lifecycle/op token after drop: *", "p2/lifecycle/old op token after re-add",
	}, sessionsEnd, 401, refused, "", 0},
	{[]string{`p1/create/role "super_user"`, `p1/create/role "anything"`}, ownRole, 400, `\{"error":"The role is not the user's."\}`, "", 0},
	{[]string{"p1/create+auth/Bearer op token, no body creds"}, withTheToken, 200, bothTokens, "", 0},
	{[]string{"p2/lifecycle/refresh after promotion: super_user claim?"}, superUserNow, 200, `\{"operation_token":"<JWT>"\}`, "", 0},
	{[]string{`p1/create/expires_in 1.5`, `p1/create/expires_in "abc"`}, callerError, 400, `\{"error":"\\"expiresIn\\" should be .*"\}`, "", 0},
	{[]string{
		"p3/malformed/operation false + auth", "p3/malformed/operation [] + auth", "p3/malformed/operation {} + auth",
		`p3/malformed/operation ["user_info"] + auth`, `p3/malformed/operation ["create_authentication_tokens"] + auth`,
	}, callerError, 400, mustBeString, "", 0},
	{[]string{"p4/users/alter_user empty password", "p4/users/alter_user empty role"}, callerError, 400, `\{"error":"nothing to update, .*"\}`, "", 0},
	{[]string{"p4/users/alter_user active string", "p4/users/alter_user active 0"}, callerError, 400, `\{"error":"active must be true or false"\}`, "", 0},
	{[]string{"p4/users/alter_user empty role only w/ pw"}, callerError, 400, `\{"error":"If role is specified, it cannot be empty."\}`, "", 0},
	{[]string{"p4/users/add_user empty password"}, newUsers, 400, `\{"error":"Password can't be blank"\}`, "", 0},
	{[]string{"p4/users/Basic with empty password user"}, newUsers, 401, `\{"error":"Login failed"\}`, "", 0},
	{[]string{"p4/users/(cleanup frank)"}, newUsers, 404, `\{"error":"User frank does not exist"\}`, "", 0},
	{[]string{"p3/methods/FOO /"}, unknownMethod, 404, `Not found\n`, "", 0},
	{[]string{"p3/malformed/2 MB body", "p3/malformed/30 MB body"}, bodyLimit, 413, `\{"error":"Request body is too large"\}`, "", 0},
	{[]string{"p2/refresh/refresh with token of create #1 after same-second create #2"}, ownSessions, 401, refused, "", 0},
	{[]string{"p3/malformed/duplicate *"}, noDuplicates, 400, duplicate, "", 0},
	{[]string{
		"p3/malformed/not JSON", "p3/malformed/trailing comma", "p3/malformed/single quotes", "p3/malformed/comment",
		"p3/malformed/trailing garbage", "p3/malformed/two objects",
	}, syntaxPosition, 400, syntaxError, "", 0},
	{[]string{"p3/methods/OPTIONS with Origin only"}, listedOrigins, 400, `Invalid Preflight Request`, "", 0},
	{[]string{"p3/methods/POST with Origin", "p3/methods/POST with Origin null"}, listedOrigins, 200, `\{"operation_token":"<JWT>","refresh_token":"<JWT>"\}`, "", 0},
	{[]string{"p3/methods/POST with Origin error"}, listedOrigins, 401, `\{"error":"Must login"\}`, "", 0},
	{[]string{"p3/methods/POST with Origin bad Basic"}, listedOrigins, 401, `\{"error":"Login failed"\}`, "", 0},

	{[]string{
		"p3/accept/Accept text/plain user_info", "p3/accept/Accept application/cbor user_info", "p3/accept/Accept text/csv user_info",
		"p3/accept/Accept application/x-msgpack user_info", "p3/accept/Accept text/event-stream user_info",
		"p3/accept/Accept application/json;q=0.1, application/cbor user_info",
	}, jsonOnly, 200, adminInfo, "", 0},
	{[]string{
		"p3/accept/Accept text/plain error", "p3/accept/Accept application/cbor error", "p3/accept/Accept text/csv error",
		"p3/accept/Accept application/x-msgpack error", "p3/accept/Accept text/event-stream error",
		"p3/accept/Accept application/json;q=0.1, application/cbor error",
		"p4/session/user_info with cookie", "p4/session/create_authentication_tokens with cookie",
		"p4/session/logout *", "p4/session/login no creds", "p4/session/login no password",
	}, jsonOnly, 401, `\{"error":"Must login"\}`, "", 0},
	{[]string{"p3/accept/Accept cbor bad Basic"}, jsonOnly, 401, `\{"error":"Login failed"\}`, "", 0},
	{[]string{
		"p4/session/login happy", "p4/session/login again with cookie", "p4/session/login with *", "p4/session/login + Basic admin",
		"p2/storage/*", "p4/storage/*",
	}, jsonOnly, 400, `\{"error":"Operation '\w+' not found"\}`, "", 0},
}
