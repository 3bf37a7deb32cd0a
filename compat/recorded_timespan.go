package compat

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/opgrant/opgrant/compat/internal/strictjson"
)

// The errors about `expires_in`.
const (
	badExpiresInNumberText = `"expiresIn" should be a number of seconds or string representing a timespan`
	badExpiresInText       = badExpiresInNumberText + ` eg: "1d", "20h", 60`
)

// maxSafeInteger is the largest integer that JavaScript tells apart from its neighbours.
const maxSafeInteger = 1<<53 - 1

// timespan is the syntax of `expires_in` in a string: a number and a unit. Without a unit the number is milliseconds.
var timespan = regexp.MustCompile(`(?i)^(-?[0-9]*\.?[0-9]+) *(milliseconds?|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|` +
	`hours?|hrs?|h|days?|d|weeks?|w|years?|yrs?|y)?$`)

// units are the units in milliseconds. The longest prefix that matches decides. A year has 365.25 days.
var units = []struct {
	prefix string
	millis float64
}{
	{"ms", 1},
	{"msec", 1},
	{"milli", 1},
	{"s", 1e3},
	{"m", 6e4},
	{"h", 36e5},
	{"d", 864e5},
	{"w", 7 * 864e5},
	{"y", 365.25 * 864e5},
}

// parseExpiresIn converts an `expires_in` that has passed checkExpiresIn to seconds, which may be zero or negative.
func parseExpiresIn(v jsValue) (seconds int64, problem string) {
	if v.Kind() == strictjson.Number {
		if f := v.Number(); f == math.Trunc(f) {
			return int64(f), ""
		}
		return 0, badExpiresInNumberText
	}
	s := v.Text()
	m := timespan.FindStringSubmatch(s)
	if m == nil || len(s) > 100 {
		return 0, badExpiresInText
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, badExpiresInText
	}
	factor, longest, unit := 1.0, 0, strings.ToLower(m[2])
	for _, u := range units {
		if strings.HasPrefix(unit, u.prefix) && len(u.prefix) > longest {
			factor, longest = u.millis, len(u.prefix)
		}
	}
	f := math.Floor(n * factor / 1000)
	if math.Abs(f) > maxSafeInteger {
		return 0, badExpiresInText
	}
	return int64(f), ""
}

// checkExpiresIn returns what is wrong with `expires_in`.
func checkExpiresIn(v jsValue) string {
	switch v.Kind() {
	case strictjson.Absent:
		return ""
	case strictjson.String:
		if v.empty() {
			return "'expires_in' is not allowed to be empty"
		}
		return ""
	case strictjson.Number:
		switch f := v.Number(); {
		case math.IsInf(f, 0):
			return "'expires_in' cannot be infinity"
		case math.Abs(f) > maxSafeInteger:
			return "'expires_in' must be a safe number"
		}
		return ""
	}
	return "'expires_in' must be one of [string, number]"
}
