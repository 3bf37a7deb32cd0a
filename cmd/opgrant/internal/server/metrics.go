package server

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/compat"
)

// metrics is what /metrics shows. A label never has a value that a caller can invent, so their number is bounded.
type metrics struct {
	paths    map[string]string // :: path → label
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec

	// Use of the two APIs.
	tokens     *prometheus.CounterVec
	operations *prometheus.CounterVec
	shadowed   *prometheus.CounterVec
}

func newMetrics(issuer string) *metrics {
	m := &metrics{
		paths:    labels(issuer),
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
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "opgrant_tokens_issued_total",
			Help: "Token responses by client and grant. Those for the operations API have the client that compat.client names.",
		}, []string{"client", "grant"}),
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "opgrant_operations_total",
			Help: "Calls of the operations API. Operations that an upstream answered, and unknown ones, are \"other\".",
		}, []string{"operation", "status"}),
		shadowed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "opgrant_shadowed_total",
			Help: "Operations that were sent to the upstream too, by how its answer compares.",
		}, []string{"operation", "outcome"}),
	}
	m.registry.MustRegister(
		m.requests, m.took, m.tokens, m.operations, m.shadowed,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

func (m *metrics) request(r *http.Request, status int, took time.Duration) {
	path := m.knownPath(r.URL.Path)
	m.requests.WithLabelValues(path, knownMethod(r.Method), strconv.Itoa(status)).Inc()
	m.took.WithLabelValues(path).Observe(took.Seconds())
}

// labels returns the values of the label path by path; everything else is "other". The OAuth endpoints below the path of the
// issuer have the labels of those without it.
func labels(issuer string) map[string]string {
	known := map[string]string{}
	for _, path := range []string{"/", "/livez", "/readyz", "/health", "/openapi.yaml"} {
		known[path] = path
	}
	under := ""
	if u, err := url.Parse(issuer); err == nil {
		under = u.Path
	}
	const metadata = "/.well-known/oauth-authorization-server"
	for _, path := range []string{"/oauth2/token", "/oauth2/introspect", "/oauth2/revoke", metadata, "/.well-known/jwks.json"} {
		known[path], known[under+path] = path, path
	}
	known[metadata+under] = metadata
	return known
}

func (m *metrics) knownPath(path string) string {
	if label := m.paths[path]; label != "" {
		return label
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

func (m *metrics) tokenIssued(t authserver.TokenIssued) {
	m.tokens.WithLabelValues(t.Client, t.Grant).Inc()
}

func (m *metrics) operationServed(_ context.Context, u compat.OperationServed) {
	name := u.Operation
	if u.Forwarded || !knownOperations[name] {
		name = "other"
	}
	m.operations.WithLabelValues(name, strconv.Itoa(u.Status)).Inc()
}

func (m *metrics) shadowCompared(s compat.ShadowResult) {
	m.shadowed.WithLabelValues(s.Operation, s.Outcome).Inc()
}

// knownOperations are the values of the label operation; everything else is "other".
var knownOperations = map[string]bool{
	"create_authentication_tokens": true, "refresh_operation_token": true, "user_info": true,
	"add_user": true, "alter_user": true, "drop_user": true, "list_users": true,
	"add_role": true, "alter_role": true, "drop_role": true, "list_roles": true,
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
