package main

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
		Short: "Ask the server of this configuration whether it is ready; exit code 0 or 1",
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
			return ask(cmd.Context(), url+path)
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "base `URL` of the server (default: where listen says)")
	cmd.Flags().BoolVar(&live, "live", false, "ask only whether the process is alive, not whether Redis is")
	p.setting(cmd.Flags(), "listen", "listen", "`address` of the server (OPGRANT_LISTEN)")
	return cmd
}

// reachable turns an address to listen on into one to connect to.
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

func ask(ctx context.Context, url string) error {
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
