package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/config"
)

func TestEndpoint(t *testing.T) {
	one := func(mode string, e config.Endpoint) config.Endpoint { e.Mode = mode; return e }
	for name, row := range map[string]struct {
		redis config.Redis
		want  config.Endpoint
	}{
		"plain address":        {config.Redis{URL: "cache:1"}, one("standalone", config.Endpoint{Addrs: []string{"cache:1"}})},
		"the port is 6379":     {config.Redis{URL: "redis://cache"}, one("standalone", config.Endpoint{Addrs: []string{"cache:6379"}})},
		"IPv6":                 {config.Redis{URL: "redis://[::1]/2"}, one("standalone", config.Endpoint{Addrs: []string{"[::1]:6379"}, DB: 2})},
		"TLS by scheme":        {config.Redis{URL: "rediss://cache:1"}, one("standalone", config.Endpoint{Addrs: []string{"cache:1"}, TLS: true})},
		"TLS by setting":       {config.Redis{URL: "cache:1", TLS: config.RedisTLS{Enabled: true}}, one("standalone", config.Endpoint{Addrs: []string{"cache:1"}, TLS: true})},
		"password alone":       {config.Redis{URL: "redis://:p%40:w@h:1"}, one("standalone", config.Endpoint{Addrs: []string{"h:1"}, Password: "p@:w"})},
		"ACL user":             {config.Redis{URL: "redis://app:pw@h:1/4"}, one("standalone", config.Endpoint{Addrs: []string{"h:1"}, Username: "app", Password: "pw", DB: 4})},
		"settings stand above": {config.Redis{URL: "redis://app:pw@h:1/4", Username: "u", Password: "p", DB: 5}, one("standalone", config.Endpoint{Addrs: []string{"h:1"}, Username: "u", Password: "p", DB: 5})},
		"unix socket":          {config.Redis{URL: "unix:///run/r.sock?db=3"}, one("standalone", config.Endpoint{Addrs: []string{"/run/r.sock"}, DB: 3})},
		"unix with password":   {config.Redis{URL: "unix://:pw@/run/r.sock"}, one("standalone", config.Endpoint{Addrs: []string{"/run/r.sock"}, Password: "pw"})},
		"several are cluster":  {config.Redis{URL: "redis://a:1,b:2, c"}, one("cluster", config.Endpoint{Addrs: []string{"a:1", "b:2", "c:6379"}})},
		"one is cluster":       {config.Redis{URL: "a:1", Mode: "cluster"}, one("cluster", config.Endpoint{Addrs: []string{"a:1"}})},
		"sentinels by query":   {config.Redis{URL: "redis://a:1,b:2/1?master=m"}, one("sentinel", config.Endpoint{Addrs: []string{"a:1", "b:2"}, MasterName: "m", DB: 1})},
		"sentinels by setting": {config.Redis{URL: "a:1,b:2", MasterName: "m"}, one("sentinel", config.Endpoint{Addrs: []string{"a:1", "b:2"}, MasterName: "m"})},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := row.redis.Endpoint()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEndpointRefuses(t *testing.T) {
	for name, row := range map[string]struct {
		redis config.Redis
		want  string
	}{
		"another scheme":           {config.Redis{URL: "http://a:1"}, "is not one of"},
		"no host":                  {config.Redis{URL: "redis://"}, "names no host"},
		"a hole in the list":       {config.Redis{URL: "a:1,,b:2"}, "names no host"},
		"no number of a database":  {config.Redis{URL: "redis://a:1/x"}, "number of a database"},
		"unknown parameter":        {config.Redis{URL: "redis://a:1?timeout=1"}, `unknown parameter "timeout"`},
		"relative unix path":       {config.Redis{URL: "unix://run/r.sock"}, "absolute path"},
		"sentinel without name":    {config.Redis{URL: "a:1", Mode: "sentinel"}, "needs redis.master_name"},
		"cluster with a name":      {config.Redis{URL: "a:1", Mode: "cluster", MasterName: "m"}, "cannot be used"},
		"cluster with a database":  {config.Redis{URL: "a:1,b:1", DB: 1}, "only database 0"},
		"standalone of two":        {config.Redis{URL: "a:1,b:1", Mode: "standalone"}, "several addresses"},
		"address within addresses": {config.Redis{URL: "redis://a:1,redis://b:1"}, "number of a database"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := row.redis.Endpoint(); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want …%s…", err, row.want)
			}
		})
	}
}
