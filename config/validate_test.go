package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/config"
)

func TestValidate(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*config.Config)
		want   string // empty: no problem
	}{
		"default":                          {func(*config.Config) {}, ""},
		"any free port":                    {func(c *config.Config) { c.Listen, c.AdminListen = "127.0.0.1:0", "127.0.0.1:0" }, ""},
		"no admin listener":                {func(c *config.Config) { c.AdminListen = "off" }, ""},
		"every interface needs an issuer":  {func(c *config.Config) { c.Listen = "0.0.0.0:9925" }, "issuer: must be set"},
		"no host needs an issuer":          {func(c *config.Config) { c.Listen = ":9925" }, "issuer: must be set"},
		"every interface with an issuer":   {func(c *config.Config) { c.Listen, c.Issuer = ":9925", "https://a.example" }, ""},
		"issuer is no URL":                 {func(c *config.Config) { c.Issuer = "auth.example" }, "issuer: "},
		"issuer with a query":              {func(c *config.Config) { c.Issuer = "https://a.example?x=1" }, "issuer: may have neither"},
		"issuer with a slash":              {func(c *config.Config) { c.Issuer = "https://a.example/" }, "issuer: must not end"},
		"one port for both listeners":      {func(c *config.Config) { c.AdminListen = c.Listen }, "admin_listen: the same"},
		"port out of range":                {func(c *config.Config) { c.Listen = "127.0.0.1:65536" }, "listen: "},
		"short secret":                     {func(c *config.Config) { c.Secret = "short" }, "secret: shorter"},
		"proxy without a mask":             {func(c *config.Config) { c.TrustedProxies = []string{"10.0.0.1"} }, "trusted_proxies: "},
		"grace over a minute":              {client(config.Client{ID: "c", Grants: []string{"password"}, Grace: new(61 * time.Second)}), "clients[0].grace: "},
		"no grace":                         {client(config.Client{ID: "c", Grants: []string{"password"}, Grace: new(0 * time.Second)}), ""},
		"keys that are no JSON":            {client(config.Client{ID: "c", Grants: []string{"password"}, JWKS: "PEM"}), "clients[0].jwks: "},
		"weak RSA":                         {func(c *config.Config) { c.Keys.Bits = 1024 }, "keys.bits: "},
		"replicated without replicas":      {func(c *config.Config) { c.Durability.Mode = "replicated" }, "durability.replicas: "},
		"replicas without replicated":      {func(c *config.Config) { c.Durability.Replicas = 1 }, "durability.replicas: "},
		"throttle of nothing":              {func(c *config.Config) { c.Throttle.PerUser = 0 }, "throttle.per_user: "},
		"throttle off":                     {func(c *config.Config) { c.Throttle = config.Throttle{Disabled: true} }, ""},
		"upstream that is no URL":          {func(c *config.Config) { c.Compat.Upstream = "old:9925" }, "compat.upstream: "},
		"upstream with credentials":        {func(c *config.Config) { c.Compat.Upstream = "http://u:p@old" }, "compat.upstream: holds credentials"},
		"upstream user without password":   {func(c *config.Config) { c.Compat.Upstream, c.Compat.UpstreamUsername = "http://old", "u" }, "compat.upstream_password: "},
		"shadow without upstream":          {func(c *config.Config) { c.Compat.Shadow = true }, "compat.shadow: needs"},
		"sunset in prose":                  {func(c *config.Config) { c.Compat.Sunset = "next year" }, "compat.sunset: "},
		"sunset as a day":                  {func(c *config.Config) { c.Compat.Sunset = "2027-06-30" }, ""},
		"disabled door is not checked":     {func(c *config.Config) { c.Compat = config.Compat{Disabled: true} }, ""},
		"public client that introspects":   {client(config.Client{ID: "c", Grants: []string{"password"}, Introspect: true}), "clients[0].introspect: "},
		"legacy client with ES256":         {client(config.Client{ID: "c", Grants: []string{"password"}, Profile: "legacy", Algorithm: "ES256"}), "clients[0].algorithm: legacy"},
		"client without a grant":           {client(config.Client{ID: "c"}), "clients[0].grants: lists no grant"},
		"client without an id":             {client(config.Client{Grants: []string{"password"}}), "clients[0].id: is missing"},
		"negative sessions":                {client(config.Client{ID: "c", Grants: []string{"password"}, SessionsPerUser: -1}), "clients[0].sessions_per_user: "},
		"user without a password":          {func(c *config.Config) { c.Users = []config.User{{Username: "u"}} }, "users[0].password: is missing"},
		"Redis address that means nothing": {func(c *config.Config) { c.Redis.URL = "ftp://a" }, "redis: "},
		"cert without key":                 {func(c *config.Config) { c.Redis.TLS.CertFile = "x" }, "redis.tls.cert_file: "},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			row.change(cfg)
			err := cfg.Validate()
			switch {
			case row.want == "" && err != nil:
				t.Errorf("got %v, want no problem", err)
			case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)):
				t.Errorf("got %v, want …%s…", err, row.want)
			}
		})
	}
}

func client(c config.Client) func(*config.Config) {
	return func(cfg *config.Config) { cfg.Clients = []config.Client{c} }
}
