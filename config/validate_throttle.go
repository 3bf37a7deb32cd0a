package config

import "time"

// leastPerUser is the least that throttle.per_user may be. With less, anyone could keep users out of networks that are new to them
// for most of a day. Before the limit had this meaning, its default was 10.
const leastPerUser = 100

func (v *validation) throttle(t Throttle) {
	if t.Disabled {
		return
	}
	const positive = "must be positive; throttle.disabled turns the limits off"
	v.check("throttle.per_user_network", t.PerUserNetwork > 0, positive)
	v.check("throttle.per_user", t.PerUser >= leastPerUser, "%d is less than %d: it bounds the failures of a user in user_window from all networks "+
		"that the user has not logged in from; per_user_network is the limit for one network", t.PerUser, leastPerUser)
	v.check("throttle.per_network", t.PerNetwork > 0, positive)
	v.check("throttle.per_client", t.PerClient > 0, positive)
	v.between("throttle.window", t.Window, time.Second, 24*time.Hour)
	v.between("throttle.user_window", t.UserWindow, time.Minute, 30*24*time.Hour)
	v.check("throttle.ipv4_prefix", t.IPv4Prefix >= 8 && t.IPv4Prefix <= 32, "%d is not from 8 to 32", t.IPv4Prefix)
	v.check("throttle.ipv6_prefix", t.IPv6Prefix >= 16 && t.IPv6Prefix <= 128, "%d is not from 16 to 128", t.IPv6Prefix)
}

func (v *validation) between(key string, d, least, most time.Duration) {
	v.check(key, d >= least && d <= most, "%v is not from %v to %v", d, least, most)
}
