package config_test

import (
	"strings"
	"testing"

	"github.com/opgrant/opgrant/config"
)

func TestValidate(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*config.Config)
		want   string // empty: no problem
	}{
		"default":                             {func(*config.Config) {}, ""},
		"any free port":                       {func(c *config.Config) { c.Listen, c.AdminListen = "127.0.0.1:0", "127.0.0.1:0" }, ""},
		"no admin listener":                   {func(c *config.Config) { c.AdminListen = "off" }, ""},
		"every interface needs an issuer":     {func(c *config.Config) { c.Listen = "0.0.0.0:9925" }, "issuer: must be set"},
		"no host needs an issuer":             {func(c *config.Config) { c.Listen = ":9925" }, "issuer: must be set"},
		"every interface with an issuer":      {func(c *config.Config) { c.Listen, c.Issuer = ":9925", "https://a.example" }, ""},
		"issuer is not a URL":                 {func(c *config.Config) { c.Issuer = "auth.example" }, "issuer: "},
		"issuer with a query":                 {func(c *config.Config) { c.Issuer = "https://a.example?x=1" }, "issuer: may have neither"},
		"issuer with a slash":                 {func(c *config.Config) { c.Issuer = "https://a.example/" }, "issuer: must not end"},
		"one port for both listeners":         {func(c *config.Config) { c.AdminListen = c.Listen }, "admin_listen: the same"},
		"port out of range":                   {func(c *config.Config) { c.Listen = "127.0.0.1:65536" }, "listen: "},
		"short secret":                        {func(c *config.Config) { c.Secret = "short" }, "secret: shorter"},
		"proxy without a mask":                {func(c *config.Config) { c.TrustedProxies = []string{"10.0.0.1"} }, "trusted_proxies: "},
		"weak RSA":                            {func(c *config.Config) { c.Keys.Bits = 1024 }, "keys.bits: "},
		"replicated without replicas":         {func(c *config.Config) { c.Durability.Mode = "replicated" }, "durability.replicas: "},
		"replicas without replicated":         {func(c *config.Config) { c.Durability.Replicas = 1 }, "durability.replicas: "},
		"throttle of nothing":                 {func(c *config.Config) { c.Throttle.PerUser = 0 }, "throttle.per_user: "},
		"throttle off":                        {func(c *config.Config) { c.Throttle = config.Throttle{Disabled: true} }, ""},
		"upstream is not a URL":               {func(c *config.Config) { c.Compat.Upstream = "old:9925" }, "compat.upstream: "},
		"upstream with credentials":           {func(c *config.Config) { c.Compat.Upstream = "http://u:p@old" }, "compat.upstream: holds credentials"},
		"upstream user without password":      {func(c *config.Config) { c.Compat.Upstream, c.Compat.UpstreamUsername = "http://old", "u" }, "compat.upstream_password: "},
		"cookies without upstream":            {func(c *config.Config) { c.Compat.UpstreamCookies = true }, "compat.upstream_cookies: needs"},
		"no time for forwarded requests":      {func(c *config.Config) { c.Compat.Upstream, c.Compat.UpstreamMaxTime = "http://old", 0 }, "compat.upstream_max_time: "},
		"no pause of forwarded requests":      {func(c *config.Config) { c.Compat.Upstream, c.Compat.UpstreamIdleTimeout = "http://old", 0 }, "compat.upstream_idle_timeout: "},
		"no forwarded bodies":                 {func(c *config.Config) { c.Compat.Upstream, c.Compat.UpstreamMaxBodyBytes = "http://old", 0 }, "compat.upstream_max_body_bytes: "},
		"no forwarded requests":               {func(c *config.Config) { c.Compat.Upstream, c.Compat.UpstreamMaxRequests = "http://old", 0 }, "compat.upstream_max_requests: "},
		"operations without upstream account": {func(c *config.Config) { c.Compat.Upstream, c.Compat.UpstreamOperations = "http://old", []string{"sql"} }, "compat.upstream_operations: "},
		"shadow without upstream":             {func(c *config.Config) { c.Compat.Shadow = true }, "compat.shadow: needs"},
		"sunset in prose":                     {func(c *config.Config) { c.Compat.Sunset = "next year" }, "compat.sunset: "},
		"sunset as a day":                     {func(c *config.Config) { c.Compat.Sunset = "2027-06-30" }, ""},
		"disabled operations are not checked": {func(c *config.Config) { c.Compat = config.Compat{Disabled: true} }, ""},
		"user without a password":             {func(c *config.Config) { c.Users = []config.User{{Username: "u"}} }, "users[0].password: is missing"},
		"Redis address that means nothing":    {func(c *config.Config) { c.Redis.URL = "ftp://a" }, "redis: "},
		"cert without key":                    {func(c *config.Config) { c.Redis.TLS.CertFile = "x" }, "redis.tls.cert_file: "},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			row.change(cfg)
			_, err := config.Load(config.Source{Base: cfg})
			switch {
			case row.want == "" && err != nil:
				t.Errorf("got %v, want no problem", err)
			case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)):
				t.Errorf("got %v, want …%s…", err, row.want)
			}
		})
	}
}
