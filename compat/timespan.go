package compat

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// The recorded texts about `expires_in`.
const (
	badLifetimeNumber = `"expiresIn" should be a number of seconds or string representing a timespan`
	badLifetimeText   = badLifetimeNumber + ` eg: "1d", "20h", 60`
)

// maxSafeInteger is the largest integer that JavaScript tells apart from its neighbours.
const maxSafeInteger = 1<<53 - 1

// timespan is the syntax of the lifetimes in strings: a number with a unit, milliseconds without one.
var timespan = regexp.MustCompile(`(?i)^(-?[0-9]*\.?[0-9]+) *(milliseconds?|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|` +
	`hours?|hrs?|h|days?|d|weeks?|w|years?|yrs?|y)?$`)

// units are the milliseconds of the units, by the letters that tell them apart. Years have 365.25 days.
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

// lifetime converts `expires_in` to seconds, which may be none or negative. The value has passed validation.
func lifetime(v value) (seconds int64, problem string) {
	if v.kind() == number {
		if f := v.number(); f == math.Trunc(f) {
			return int64(f), ""
		}
		return 0, badLifetimeNumber
	}
	s := v.text()
	m := timespan.FindStringSubmatch(s)
	if m == nil || len(s) > 100 {
		return 0, badLifetimeText
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, badLifetimeText
	}
	factor, longest, unit := 1.0, 0, strings.ToLower(m[2])
	for _, u := range units {
		if strings.HasPrefix(unit, u.prefix) && len(u.prefix) > longest {
			factor, longest = u.millis, len(u.prefix)
		}
	}
	f := math.Floor(n * factor / 1000)
	if math.Abs(f) > maxSafeInteger {
		return 0, badLifetimeText
	}
	return int64(f), ""
}

// checkLifetime says what validation finds wrong with `expires_in`.
func checkLifetime(v value) string {
	switch v.kind() {
	case absent:
		return ""
	case text:
		if v.empty() {
			return "'expires_in' is not allowed to be empty"
		}
		return ""
	case number:
		switch f := v.number(); {
		case math.IsInf(f, 0):
			return "'expires_in' cannot be infinity"
		case math.Abs(f) > maxSafeInteger:
			return "'expires_in' must be a safe number"
		}
		return ""
	}
	return "'expires_in' must be one of [string, number]"
}
