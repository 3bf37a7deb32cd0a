package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/opgrant/opgrant/storage"
)

// watchLogins shows what becomes of logins by password and of wrong client secrets.
func (m *metrics) watchLogins(users *storage.Users) {
	const logins = "opgrant_logins_total"
	counter := func(name, help, result string, read func() int64) {
		opts := prometheus.CounterOpts{Name: name, Help: help}
		if result != "" {
			opts.ConstLabels = prometheus.Labels{"result": result}
		}
		m.registry.MustRegister(prometheus.NewCounterFunc(opts, func() float64 { return float64(read()) }))
	}
	for result, read := range map[string]func() int64{
		"succeeded":   func() int64 { return users.LoginStats().Succeeded },
		"failed":      func() int64 { return users.LoginStats().Failed },
		"throttled":   func() int64 { return users.LoginStats().Throttled },
		"unavailable": func() int64 { return users.LoginStats().Unavailable },
	} {
		counter(logins, "Logins by password, on both APIs, by result. Throttled ones were refused without comparing the password.", result, read)
	}
	counter("opgrant_logins_shared_total", "Logins that had the hash of an identical one in progress.", "",
		func() int64 { return users.LoginStats().Shared })
	counter("opgrant_logins_waited_total", "Logins that waited for the results of others of the same user or network.", "",
		func() int64 { return users.Throttle().Stats().Waited })
	counter("opgrant_client_secrets_wrong_total", "Wrong client secrets, repeated ones included.", "",
		func() int64 { return users.Throttle().Stats().WrongSecrets })
	counter("opgrant_client_secrets_refused_total", "Client secrets that were not compared, because too many were wrong.", "",
		func() int64 { return users.Throttle().Stats().RefusedSecrets })
	m.registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "opgrant_logins_waiting", Help: "Logins that wait for the results of others at the moment."},
		func() float64 { return float64(users.Throttle().Stats().Waiting) },
	))
}
