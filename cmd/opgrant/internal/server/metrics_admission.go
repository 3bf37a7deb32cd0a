package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/authserver/admission"
)

// watchAdmission shows how busy the gates are and whether Redis is taken for dead.
func (m *metrics) watchAdmission(s *opgrant.Server) {
	for kind, gate := range map[string]*admission.Gate{"request": s.Admission.Requests, "hash": s.Admission.Hashes} {
		labels := prometheus.Labels{"kind": kind}
		m.registry.MustRegister(
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "opgrant_admission_running", Help: "Work that runs, by kind: requests, password hashes.", ConstLabels: labels,
			}, func() float64 { return float64(gate.Numbers().Running) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "opgrant_admission_queued", Help: "Work that waits for a place, by kind.", ConstLabels: labels,
			}, func() float64 { return float64(gate.Numbers().Waiting) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: "opgrant_admission_refused_total", Help: "Work that was not admitted and answered 503, by kind.", ConstLabels: labels,
			}, func() float64 { return float64(gate.Numbers().Refused) }),
		)
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "opgrant_redis_breaker_open", Help: "1 while Redis does not answer, and requests that need it are 503 at once.",
	}, func() float64 {
		if s.Store.BreakerOpen() {
			return 1
		}
		return 0
	}))
}
