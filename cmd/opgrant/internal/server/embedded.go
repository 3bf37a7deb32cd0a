package server

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// embeddedRedis starts a Redis in this process, for --dev. Its data is lost with stop.
func embeddedRedis() (address string, stop func(), err error) {
	mini := miniredis.NewMiniRedis()
	if err := mini.StartAddr("127.0.0.1:0"); err != nil {
		return "", nil, fmt.Errorf("embedded Redis: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go driveClock(ctx, mini, 100*time.Millisecond)
	return mini.Addr(), func() { cancel(); mini.Close() }, nil
}

// driveClock makes keys expire: miniredis has a clock that stands still until it is told.
func driveClock(ctx context.Context, mini *miniredis.Miniredis, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			mini.FastForward(now.Sub(last))
			last = now
		}
	}
}
