package server

import (
	"net"
	"net/http"
	"net/http/pprof" // registers on the default mux, which is never served
	"net/netip"
	"slices"
	"strings"

	"github.com/opgrant/opgrant/config"
)

// adminHandler serves metrics, and profiles if they are switched on. It never shares a listener with the public: profiles hold
// memory, and memory holds secrets.
func adminHandler(m *metrics, cfg *config.Config) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.handler())
	if cfg.Admin.Pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	names := append([]string{"localhost"}, cfg.Admin.Hosts...)
	host, _, _ := net.SplitHostPort(cfg.AdminListen)
	if address, err := netip.ParseAddr(host); host != "" && (err != nil || !address.IsUnspecified()) {
		names = append(names, host)
	}
	return hostsOnly(mux, names)
}

// hostsOnly refuses requests that name another host than the listener has. A website whose name was changed to point here (DNS
// rebinding) may read the answers in a browser, and all that tells its requests from others is the name that it was reached by.
func hostsOnly(next http.Handler, names []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r.Host)
		if ownAddress(r, host) || slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, host) }) {
			next.ServeHTTP(w, r)
			return
		}
		writePlain(w, http.StatusMisdirectedRequest, "This host is not one of admin.hosts.\n")
	})
}

// hostOf is the host of a Host header, without port, brackets and the dot that ends a full domain name.
func hostOf(header string) string {
	host, _, err := net.SplitHostPort(header)
	if err != nil {
		host = header
	}
	return strings.TrimSuffix(strings.Trim(host, "[]"), ".")
}

// ownAddress tells whether the host is an address of the loopback, or the one that the request was sent to.
func ownAddress(r *http.Request, host string) bool {
	address, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	address = address.Unmap()
	if address.IsLoopback() {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	to, err := netip.ParseAddrPort(local.String())
	return err == nil && to.Addr().Unmap().WithZone("") == address
}
