package main

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// clientAddress returns a function that tells where a request comes from. X-Forwarded-For counts as far as the proxies that
// wrote it are trusted: anyone can send the header, so it is read from its end, and the first address that is no trusted
// proxy is the client.
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
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			return r.RemoteAddr
		}
		client := peer.Addr().Unmap().WithZone("")
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for i := len(hops) - 1; i >= 0 && isTrusted(client); i-- {
			hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
			if err != nil {
				break
			}
			client = hop.Unmap().WithZone("")
		}
		return client.String()
	}
}

// fromProxies gives every request the address of its client, so that nothing behind needs to know of proxies.
func fromProxies(next http.Handler, trusted []netip.Prefix) http.Handler {
	if len(trusted) == 0 {
		return next
	}
	address := clientAddress(trusted)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if client := address(r); client != r.RemoteAddr {
			r.RemoteAddr = net.JoinHostPort(client, "0")
		}
		next.ServeHTTP(w, r)
	})
}

// trustedProxies reads networks that config.Validate has accepted.
func trustedProxies(list []string) ([]netip.Prefix, error) {
	networks := make([]netip.Prefix, len(list))
	for i, text := range list {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		networks[i] = network.Masked()
	}
	return networks, nil
}
