package policy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/opgrant/opgrant/authserver/policy"
)

// The names of refresh policies are resolved here alone: whoever reads a client asks Static and RotationGrace.
func TestRefreshPolicies(t *testing.T) {
	for refresh, row := range map[string]struct {
		static      bool
		byDefault   time.Duration
		withAMinute time.Duration
	}{
		"":                   {false, policy.DefaultGrace, time.Minute},
		policy.RefreshGrace:  {false, policy.DefaultGrace, time.Minute},
		policy.RefreshRotate: {false, policy.DefaultGrace, time.Minute},
		policy.RefreshStrict: {false, 0, 0},
		policy.RefreshFAPI2:  {true, 0, 0},
		policy.RefreshStatic: {true, 0, 0},
	} {
		c := policy.Client{Refresh: refresh, Grace: policy.DefaultGraceOf(refresh)}
		if c.Static() != row.static || c.RotationGrace() != row.byDefault {
			t.Errorf("%q: static %v, grace %s", refresh, c.Static(), c.RotationGrace())
		}
		for _, grace := range []time.Duration{time.Minute, time.Hour} { // a third-party client that nobody has validated
			c.Grace = grace
			if got := c.RotationGrace(); got != row.withAMinute {
				t.Errorf("%q with a grace of %s: %s", refresh, grace, got)
			}
		}
		c.Grace = -1
		if c.RotationGrace() != 0 {
			t.Errorf("%q: a negative grace", refresh)
		}
		if refresh != "" && !slices.Contains(policy.RefreshPolicies(), refresh) {
			t.Errorf("%q is not listed", refresh)
		}
	}
}
