package main

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"
)

// metrics is what /metrics shows. Labels have few values: nothing that a caller chooses becomes one.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "opgrant_http_requests_total",
			Help: "Requests answered on the public listener.",
		}, []string{"path", "method", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "opgrant_http_request_duration_seconds",
			Help:    "Time from the header of a request to the end of its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 1.5, 2.5, 5},
		}, []string{"path"}),
	}
	m.registry.MustRegister(
		m.requests, m.took,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

func (m *metrics) request(r *http.Request, status int, took time.Duration) {
	path := knownPath(r.URL.Path)
	m.requests.WithLabelValues(path, knownMethod(r.Method), strconv.Itoa(status)).Inc()
	m.took.WithLabelValues(path).Observe(took.Seconds())
}

// knownPaths are the values of the label path; everything else is "other".
var knownPaths = map[string]bool{
	"/": true, "/livez": true, "/readyz": true, "/health": true,
	"/oauth2/token": true, "/oauth2/introspect": true, "/oauth2/revoke": true,
	"/.well-known/oauth-authorization-server": true, "/.well-known/jwks.json": true,
}

func knownPath(path string) string {
	if knownPaths[path] {
		return path
	}
	return "other"
}

func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions:
		return method
	}
	return "other"
}

// watchPool shows how busy the connections to Redis are.
func (m *metrics) watchPool(rdb redis.UniversalClient) {
	for name, read := range map[string]func(*redis.PoolStats) uint32{
		"opgrant_redis_connections":           func(s *redis.PoolStats) uint32 { return s.TotalConns },
		"opgrant_redis_idle_connections":      func(s *redis.PoolStats) uint32 { return s.IdleConns },
		"opgrant_redis_pool_timeouts_total":   func(s *redis.PoolStats) uint32 { return s.Timeouts },
		"opgrant_redis_stale_connections":     func(s *redis.PoolStats) uint32 { return s.StaleConns },
		"opgrant_redis_pool_misses_total":     func(s *redis.PoolStats) uint32 { return s.Misses },
		"opgrant_redis_pool_hits_total":       func(s *redis.PoolStats) uint32 { return s.Hits },
		"opgrant_redis_pool_wait_count_total": func(s *redis.PoolStats) uint32 { return s.WaitCount },
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: name, Help: "As PoolStats of the Redis client gives it."},
			func() float64 { return float64(read(rdb.PoolStats())) },
		))
	}
}
