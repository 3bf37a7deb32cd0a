package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opgrant/opgrant/config"
)

func TestRedisOptions(t *testing.T) {
	c := config.Default().Redis
	c.URL = "rediss://app:pw@a:1,b:2?master=m"
	c.DB, c.SentinelUsername, c.SentinelPassword, c.PoolSize = 3, "s", "sp", 7
	c.TLS.ServerName = "cache"
	o, err := redisOptions(c)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(o.Addrs, " ") != "a:1 b:2" || o.MasterName != "m" || o.Username != "app" || o.Password != "pw" || o.DB != 3 ||
		o.SentinelUsername != "s" || o.SentinelPassword != "sp" || o.PoolSize != 7 || o.TLSConfig.ServerName != "cache" ||
		o.IsClusterMode || o.ReadOnly {
		t.Errorf("%+v", o)
	}
	c = config.Default().Redis
	c.URL, c.Mode = "a:1", "cluster"
	if o, err = redisOptions(c); err != nil || !o.IsClusterMode || o.TLSConfig != nil {
		t.Errorf("one seed of a cluster: %+v, %v", o, err)
	}
}

func TestRedisTLSFilesAreChecked(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]config.RedisTLS{
		"no such CA":      {CAFile: "/nowhere"},
		"CA that is none": {CAFile: empty},
		"no such pair":    {CertFile: "/nowhere", KeyFile: "/nowhere"},
	} {
		r := config.Default().Redis
		r.TLS, r.TLS.Enabled = c, true
		if _, err := redisOptions(r); err == nil || !strings.HasPrefix(err.Error(), "redis.tls: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
