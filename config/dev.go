package config

import "github.com/opgrant/opgrant/authserver/policy"

// OperationsClient returns the client by which the operations API logs in, as it is created where there is none.
func OperationsClient(id string) Client {
	return Client{
		ID:      id,
		Name:    "Clients of the operations API",
		Profile: policy.ProfileLegacy,
		Grants:  []string{policy.GrantPassword, policy.GrantRefreshToken, policy.GrantTokenExchange},
		Refresh: policy.RefreshStatic,
	}
}

// Dev returns what --dev starts from: the default, readable logs, and the user and clients of the quick start. Their passwords
// are public: a server that others can reach must not have them.
func Dev() *Config {
	cfg := Default()
	cfg.Log.Format = "text"
	cfg.HTTP.DrainDelay = 0           // no proxy has to notice, and Ctrl-C ends it at once
	cfg.Throttle.PerUserNetwork = 100 // for trying things, wrong passwords included
	cfg.Passwords.AllowWeak = true    // such as those below
	cfg.Users = []User{{Username: "HDB_ADMIN", Password: "password", Role: "super_user"}}
	cfg.Clients = []Client{
		OperationsClient(cfg.Compat.Client),
		{
			ID:         "demo",
			Name:       "Demonstration",
			Secret:     "demo-secret",
			Profile:    policy.ProfileStandard,
			Grants:     []string{policy.GrantPassword, policy.GrantRefreshToken, policy.GrantClientCredentials, policy.GrantTokenExchange},
			Scopes:     []string{"things:read"},
			Refresh:    policy.RefreshGrace,
			Introspect: true,

			ExchangeFrom: []string{"operations"},
		},
	}
	return cfg
}
