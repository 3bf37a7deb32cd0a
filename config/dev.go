package config

// Dev returns what --dev starts from: the default, readable logs, and the user and clients of the quick start. Their
// passwords are public; a server that others can reach must not have them.
func Dev() *Config {
	cfg := Default()
	cfg.Log.Format = "text"
	cfg.Throttle.PerUser, cfg.Throttle.PerAddress = 100, 1000 // it is there to try things, wrong passwords included
	cfg.Users = []User{{Username: "HDB_ADMIN", Password: "password", Role: "super_user"}}
	cfg.Clients = []Client{
		{
			ID:      "operations",
			Name:    "Legacy operations",
			Profile: "legacy",
			Grants:  []string{"password", "refresh_token", grantExchange},
			Refresh: "static",
		},
		{
			ID:         "demo",
			Name:       "Demonstration",
			Secret:     "demo-secret",
			Profile:    "standard",
			Grants:     []string{"password", "refresh_token", "client_credentials", grantExchange},
			Scopes:     []string{"things:read"},
			Refresh:    "rotate",
			Introspect: true,
		},
	}
	return cfg
}
