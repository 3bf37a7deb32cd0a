package redisdb

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// A primary that a replica has left confirms nothing for a while: it may have been replaced.
func TestAReplicaThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // time is fake
		var a attached
		for i, row := range []struct {
			after     time.Duration
			primary   string
			online    int
			confirmed int64
			ok        bool
			wanted    int // then
		}{
			{0, "old", 2, 1, true, 2}, // the other one is slow
			{0, "old", 2, 0, false, 2},
			{time.Hour, "old", 1, 1, false, 1}, // nobody has written for long
			{0, "new", 1, 1, true, 1},          // promoted
			{replicaLeft - 1, "old", 1, 1, false, 1},
			{0, "old", 2, 2, true, 2}, // it was only away
			{0, "old", 1, 1, false, 1},
			{replicaLeft, "old", 1, 1, true, 1}, // it is dead
			{0, "new", 3, 3, true, 3},
			{0, "new", 2, 2, false, 2},
			{replicaLeft - 1, "new", 1, 1, false, 1}, // another one
			{replicaLeft - 1, "new", 1, 1, false, 1},
			{1, "new", 1, 1, true, 1},
		} {
			time.Sleep(row.after)
			info := "role:master\r\nconnected_slaves:9\r\n"
			for n := range row.online {
				info += fmt.Sprintf("slave%d:ip=127.0.0.1,port=1,state=online,offset=7,lag=0\r\n", n)
			}
			info += "slave8:ip=127.0.0.1,port=2,state=wait_bgsave,offset=0,lag=0\r\nmaster_replid:" + row.primary + "\r\nmaster_replid2:00\r\n"
			err := a.judge("", info, row.confirmed, 1)
			if (err == nil) != row.ok || a.wanted("", 1) != row.wanted {
				t.Errorf("%d: %v, then %d wanted, want ok %v and %d", i, err, a.wanted("", 1), row.ok, row.wanted)
			}
		}
		if a.wanted("elsewhere", 1) != 1 || a.wanted("", 4) != 4 {
			t.Error("another number is wanted")
		}
		a.forget("")
		if a.wanted("", 1) != 1 {
			t.Error("not forgotten")
		}
		for n := range 3000 {
			_ = a.judge("", fmt.Sprintf("master_replid:%d\r\n", n), 1, 1)
		}
		if len(a.most) > 1001 {
			t.Errorf("%d primaries are remembered", len(a.most))
		}
	})
}
