package server

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// clientAddress returns a function that returns the address of a request's client. Anyone can send X-Forwarded-For, so it is
// read from its end, as long as trusted proxies wrote it: the first address that is not a trusted proxy is the client.
func clientAddress(trusted []netip.Prefix) func(*http.Request) string {
	isTrusted := func(a netip.Addr) bool {
		for _, network := range trusted {
			if network.Contains(a) {
				return true
			}
		}
		return false
	}
	return func(r *http.Request) string {
		remote, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			return r.RemoteAddr
		}
		client := remote.Addr().Unmap().WithZone("")
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for i := len(hops) - 1; i >= 0 && isTrusted(client); i-- {
			hop, ok := forwardedAddress(strings.TrimSpace(hops[i]))
			if !ok {
				break
			}
			client = hop.Unmap().WithZone("")
		}
		return client.String()
	}
}

// forwardedAddress reads an address in X-Forwarded-For. Some proxies write the port behind it.
func forwardedAddress(text string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return a, true
	}
	a, err := netip.ParseAddrPort(text)
	return a.Addr(), err == nil
}

// withClientAddress sets RemoteAddr of every request to the address of its client, so that nothing behind it needs to know of
// proxies. trusted are networks such as 10.0.0.0/8.
func withClientAddress(next http.Handler, trusted []string) (http.Handler, error) {
	if len(trusted) == 0 {
		return next, nil
	}
	networks, err := parseNetworks(trusted)
	if err != nil {
		return nil, err
	}
	address := clientAddress(networks)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if client := address(r); client != r.RemoteAddr {
			r.RemoteAddr = net.JoinHostPort(client, "0")
		}
		next.ServeHTTP(w, r)
	}), nil
}

func parseNetworks(list []string) ([]netip.Prefix, error) {
	networks := make([]netip.Prefix, len(list))
	for i, text := range list {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("trusted_proxies: %w", err)
		}
		networks[i] = network.Masked()
	}
	return networks, nil
}
