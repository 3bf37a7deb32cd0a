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
		"default":                             {func(*config.Config) {}, ""},
		"any free port":                       {func(c *config.Config) { c.Listen, c.AdminListen = "127.0.0.1:0", "127.0.0.1:0" }, ""},
		"no admin listener":                   {func(c *config.Config) { c.AdminListen = "off" }, ""},
		"every interface needs an issuer":     {func(c *config.Config) { c.Listen = "0.0.0.0:9925" }, "issuer: must be set"},
		"no host needs an issuer":             {func(c *config.Config) { c.Listen = ":9925" }, "issuer: must be set"},
		"every interface with an issuer":      {func(c *config.Config) { c.Listen, c.Issuer = ":9925", "https://a.example" }, ""},
		"issuer is not a URL":                 {func(c *config.Config) { c.Issuer = "auth.example" }, "issuer: "},
		"issuer with a query":                 {func(c *config.Config) { c.Issuer = "https://a.example?x=1" }, "issuer: may have neither"},
		"plain issuer of another host":        {func(c *config.Config) { c.Issuer = "http://a.example" }, ""},
		"strict, https issuer":                {func(c *config.Config) { c.Issuer, c.Strict = "https://a.example", true }, ""},
		"strict, loopback":                    {func(c *config.Config) { c.Issuer, c.Strict = "http://127.0.0.1:9925", true }, ""},
		"strict, loopback of IPv6":            {func(c *config.Config) { c.Issuer, c.Strict = "http://[::1]:9925", true }, ""},
		"strict, localhost":                   {func(c *config.Config) { c.Issuer, c.Strict = "http://localhost:9925", true }, ""},
		"grants that the operations need":     {func(c *config.Config) { c.Tokens.Grants = []string{"client_credentials", "password"} }, "tokens.grants: refresh_token is missing"},
		"grants without the operations":       {func(c *config.Config) { c.Tokens.Grants, c.Compat.Disabled = []string{"client_credentials"}, true }, ""},
		"a grant that does not exist":         {func(c *config.Config) { c.Tokens.Grants, c.Compat.Disabled = []string{"implicit"}, true }, "tokens.grants: "},
		"assertions of no time":               {func(c *config.Config) { c.Assertions.MaxTTL = 0 }, "assertions.max_ttl: "},
		"assertions of two days":              {func(c *config.Config) { c.Assertions.MaxTTL = 48 * time.Hour }, "assertions.max_ttl: "},
		"assertions for anyone":               {func(c *config.Config) { c.Assertions.Audience = "any" }, "assertions.audience: "},
		"assertions for the issuer":           {func(c *config.Config) { c.Assertions.Audience = "issuer" }, ""},
		"issuer with a slash":                 {func(c *config.Config) { c.Issuer = "https://a.example/" }, "issuer: must not end"},
		"one port for both listeners":         {func(c *config.Config) { c.AdminListen = c.Listen }, "admin_listen: the same"},
		"admin host with a port":              {func(c *config.Config) { c.Admin.Hosts = []string{"opgrant:9926"} }, "admin.hosts: "},
		"admin host that is all":              {func(c *config.Config) { c.Admin.Hosts = []string{"*"} }, "admin.hosts: "},
		"admin host by address":               {func(c *config.Config) { c.Admin.Hosts = []string{"opgrant.monitoring", "fd00::1"} }, ""},
		"port out of range":                   {func(c *config.Config) { c.Listen = "127.0.0.1:65536" }, "listen: "},
		"short secret":                        {func(c *config.Config) { c.Secret = "short" }, "secret: shorter"},
		"other secrets without one":           {func(c *config.Config) { c.OtherSecrets = []config.Secret{"a secret of some length"} }, "other_secrets: set without"},
		"short other secret":                  {func(c *config.Config) { c.Secret, c.OtherSecrets = "a secret of some length", []config.Secret{"short"} }, "other_secrets: number 1"},
		"proxy without a mask":                {func(c *config.Config) { c.TrustedProxies = []string{"10.0.0.1"} }, "trusted_proxies: "},
		"weak RSA":                            {func(c *config.Config) { c.Keys.Bits = 1024 }, "keys.bits: "},
		"replicated without replicas":         {func(c *config.Config) { c.Durability.Mode = "replicated" }, "durability.replicas: "},
		"replicas waited for like a read":     {func(c *config.Config) { c.Durability.Mode, c.Durability.Timeout = "replicated", time.Second }, "durability.timeout: must be less"},
		"replicas without replicated":         {func(c *config.Config) { c.Durability.Replicas = 1 }, "durability.replicas: "},
		"throttle of nothing":                 {func(c *config.Config) { c.Throttle.PerUserNetwork = 0 }, "throttle.per_user_network: must be positive"},
		"throttle with its old meaning":       {func(c *config.Config) { c.Throttle.PerUser = 10 }, "throttle.per_user: 10 is less than 100"},
		"throttle of no network":              {func(c *config.Config) { c.Throttle.PerNetwork = -1 }, "throttle.per_network: "},
		"throttle of no client":               {func(c *config.Config) { c.Throttle.PerClient = 0 }, "throttle.per_client: "},
		"throttle of no time":                 {func(c *config.Config) { c.Throttle.Window = 0 }, "throttle.window: 0s is not from 1s to 24h"},
		"throttle of a year":                  {func(c *config.Config) { c.Throttle.UserWindow = 365 * 24 * time.Hour }, "throttle.user_window: "},
		"throttle of all addresses":           {func(c *config.Config) { c.Throttle.IPv4Prefix = 0 }, "throttle.ipv4_prefix: 0 is not from 8 to 32"},
		"throttle of no addresses":            {func(c *config.Config) { c.Throttle.IPv6Prefix = 129 }, "throttle.ipv6_prefix: 129 is not from 16 to 128"},
		"throttle of single addresses":        {func(c *config.Config) { c.Throttle.IPv4Prefix, c.Throttle.IPv6Prefix = 32, 128 }, ""},
		"throttle off":                        {func(c *config.Config) { c.Throttle = config.Throttle{Disabled: true} }, ""},
		"upstream is not a URL":               {func(c *config.Config) { c.Compat.Upstream = "old:9925" }, "compat.upstream: "},
		"upstream with credentials":           {func(c *config.Config) { c.Compat.Upstream = "http://u:p@old" }, "compat.upstream: holds credentials"},
		"upstream user without password":      {func(c *config.Config) { c.Compat.Upstream, c.Compat.UpstreamUsername = "http://old", "u" }, "compat.upstream_password: "},
		"cookies without upstream":            {func(c *config.Config) { c.Compat.UpstreamCookies = true }, "compat.upstream_cookies: needs"},
		"no time for forwarded requests":      {func(c *config.Config) { c.Compat.Upstream, c.Compat.UpstreamMaxTime = "http://old", 0 }, "compat.upstream_max_time: "},
		"no pause of forwarded requests":      {func(c *config.Config) { c.Compat.Upstream, c.Compat.UpstreamIdleTimeout = "http://old", 0 }, "compat.upstream_idle_timeout: "},
		"no forwarded bodies":                 {func(c *config.Config) { c.Compat.Upstream, c.Compat.UpstreamMaxBodyBytes = "http://old", 0 }, "compat.upstream_max_body_bytes: "},
		"negative drain delay":                {func(c *config.Config) { c.HTTP.DrainDelay = -1 }, "http.drain_delay: "},
		"no drain delay":                      {func(c *config.Config) { c.HTTP.DrainDelay = 0 }, ""},
		"negative connections":                {func(c *config.Config) { c.HTTP.MaxConnections = -1 }, "http.max_connections: "},
		"any number of connections":           {func(c *config.Config) { c.HTTP.MaxConnections = 0 }, ""},
		"budget for less than one body":       {func(c *config.Config) { c.HTTP.BodyBudgetBytes = c.HTTP.MaxBodyBytes - 1 }, "http.body_budget_bytes: "},
		"no forwarded requests":               {func(c *config.Config) { c.Compat.Upstream, c.Compat.UpstreamMaxRequests = "http://old", 0 }, "compat.upstream_max_requests: "},
		"operations without upstream account": {func(c *config.Config) { c.Compat.Upstream, c.Compat.UpstreamOperations = "http://old", []string{"sql"} }, "compat.upstream_operations: "},
		"shadow without upstream":             {func(c *config.Config) { c.Compat.Shadow = true }, "compat.shadow: needs"},
		"sunset in prose":                     {func(c *config.Config) { c.Compat.Sunset = "next year" }, "compat.sunset: "},
		"sunset as a day":                     {func(c *config.Config) { c.Compat.Sunset = "2027-06-30" }, ""},
		"disabled operations are not checked": {func(c *config.Config) { c.Compat = config.Compat{Disabled: true} }, ""},
		"user without a password":             {func(c *config.Config) { c.Users = []config.User{{Username: "u"}} }, "users[0].password: is missing"},
		"Redis address that means nothing":    {func(c *config.Config) { c.Redis.URL = "ftp://a" }, "redis: "},
		"TLS files without TLS":               {func(c *config.Config) { c.Redis.TLS.CAFile = "ca.pem" }, "redis.tls: is set and TLS is off"},
		"client certificate without TLS":      {func(c *config.Config) { c.Redis.TLS.CertFile, c.Redis.TLS.KeyFile = "c", "k" }, "redis.tls: is set and TLS is off"},
		"server name without TLS":             {func(c *config.Config) { c.Redis.TLS.ServerName = "redis.example" }, "redis.tls: is set and TLS is off"},
		"TLS files with TLS":                  {func(c *config.Config) { c.Redis.TLS.CAFile, c.Redis.TLS.Enabled = "ca.pem", true }, ""},
		"TLS files with rediss://":            {func(c *config.Config) { c.Redis.TLS.CAFile, c.Redis.URL = "ca.pem", "rediss://h" }, ""},
		"unknown warning accepted":            {func(c *config.Config) { c.AcceptWarnings = []string{"file_mod"} }, "accept_warnings: "},
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
