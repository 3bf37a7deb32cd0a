// Package config reads the configuration: one YAML file, the environment and the flags of the command line, laid over each
// other in that order.
//
//	cfg, err := config.Load(config.Source{
//		Path:    "opgrant.yaml",
//		Environ: os.Environ(),
//		Flags:   map[string]string{"listen": "127.0.0.1:0"},
//	})
//
// [Load] returns a complete, validated [Config]. [Config.Redacted] returns it as YAML without the secrets.
//
// # Rules
//
//   - A flag beats the environment, the environment beats the file, the file
//     beats the default. Lists are replaced, never merged.
//   - A key that does not exist is an error, in the file and in the environment: a misspelt limit must not go unnoticed.
//     Variables that begin with OPGRANT_TEST_ are for tests and ignored.
//   - Each key has one variable, the path in capitals: tokens.refresh_ttl is
//     OPGRANT_TOKENS_REFRESH_TTL. The address of Redis is OPGRANT_REDIS. Lists
//     of plain values are separated by commas; clients and users are set in the
//     file only. An empty variable counts as not set.
//   - Each secret can be in a file of its own: secret_file for secret, OPGRANT_SECRET_FILE for OPGRANT_SECRET. One trailing
//     line break is removed. Both at once, in one layer, is an error. For a list of secrets it is a list of files.
//   - All problems are reported at once, each beginning with its key.
//   - Names keep their case: HDB_ADMIN stays HDB_ADMIN.
//
// # What is not here
//
// The package opens only the files named above and connects to nothing. Of the other packages of the module it knows
// authserver/policy alone: the command translates a Config into what they take. What a client may do is known by the store,
// so the caller passes [Source].CheckClient.
package config
