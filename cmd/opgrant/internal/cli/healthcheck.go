package cli

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/spf13/cobra"
)

func (p *program) healthcheckCommand() *cobra.Command {
	var url string
	var live bool
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Check whether the configured server is ready (exit code 0 or 1)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if url == "" {
				cfg, err := p.load()
				if err != nil {
					return err
				}
				url = "http://" + reachable(cfg.Listen)
			}
			path := "/readyz"
			if live {
				path = "/livez"
			}
			return check(cmd.Context(), url+path)
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "base `URL` of the server (default: its listen address)")
	cmd.Flags().BoolVar(&live, "live", false, "check only the process, not Redis")
	p.setting(cmd.Flags(), "listen", "listen", "`address` of the server (OPGRANT_LISTEN)")
	return cmd
}

// reachable returns the address to connect to for an address to listen on.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if address, err := netip.ParseAddr(host); host == "" || err == nil && address.IsUnspecified() {
		host = "127.0.0.1"
		if err == nil && address.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}

func check(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}
