package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const untilUsage = "last `day` (2027-01-31) or duration (31d, 744h) for which tokens of the other server are accepted (default 31d)"

// parseUntil reads the last day of an imported key: a day, which counts to its end in UTC, a time, or a duration from now. Empty:
// zero.
func parseUntil(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	if number, ok := strings.CutSuffix(text, "d"); ok {
		if days, err := strconv.ParseUint(number, 10, 16); err == nil {
			return now.AddDate(0, 0, int(days)), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(d), nil
	}
	return time.Time{}, fmt.Errorf("--until: %q is neither a day like 2027-01-31 nor a duration like 31d or 744h", text)
}
