package config

// Dev returns what --dev starts from: the default, readable logs, and the user and clients of the quick start. Their
// passwords are public; a server that others can reach must not have them.
func Dev() *Config {
	cfg := Default()
	cfg.Log.Format = "text"
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
			Refresh:    "rotate",
			Introspect: true,
		},
	}
	return cfg
}
