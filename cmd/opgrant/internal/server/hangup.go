package server

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// explainHangups keeps SIGHUP, by which other servers are told to read their settings again, from ending the process, and logs
// that this one does not.
func explainHangups(ctx context.Context, log *slog.Logger) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-hangups:
			log.Warn("SIGHUP changes nothing: settings are read at the start, restart the server to apply new ones")
		case <-ctx.Done():
			return
		}
	}
}
