package config

import (
	"fmt"
	"time"
)

// Date is a day, which begins at midnight UTC, or a time of RFC 3339. Empty: not set.
type Date string

// Time returns the time, zero for an empty or invalid date. Validate refuses invalid ones.
func (d Date) Time() time.Time {
	t, _ := d.parse()
	return t
}

func (d Date) parse() (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, string(d)); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date like 2027-06-30 or 2027-06-30T12:00:00Z", string(d))
}

// dateOf is the date that YAML has read already: 2027-06-30 without quotes is a timestamp there.
func dateOf(t time.Time) Date {
	if t.Equal(t.UTC().Truncate(24 * time.Hour)) {
		return Date(t.UTC().Format(time.DateOnly))
	}
	return Date(t.Format(time.RFC3339))
}
