// Package config reads what opgrant is told: one YAML file, the environment
// and the flags of the command line, laid over each other in that order.
//
//	cfg, err := config.Load(config.Source{
//		Path:    "opgrant.yaml",
//		Environ: os.Environ(),
//		Flags:   map[string]string{"listen": "127.0.0.1:0"},
//	})
//
// Two entry points: [Load] gives a complete, validated [Config], and
// [Config.Redacted] gives it back as YAML with every secret blacked out.
//
// # Rules
//
//   - A flag beats the environment, the environment beats the file, the file
//     beats the default. Lists are replaced, never merged.
//   - A key that does not exist is an error, in the file and among the
//     OPGRANT_ variables alike: a misspelt limit must not go unnoticed.
//     Variables that begin with OPGRANT_TEST_ are for tests and ignored.
//   - Each key has one variable, the path in capitals: tokens.refresh_ttl is
//     OPGRANT_TOKENS_REFRESH_TTL. The address of Redis is OPGRANT_REDIS. Lists
//     of plain values are separated by commas; clients and users are set in the
//     file only. An empty variable counts as not set.
//   - Each secret can stand in a file of its own: secret_file beside secret,
//     OPGRANT_SECRET_FILE beside OPGRANT_SECRET. One trailing line break is
//     taken off. Both at once, in one layer, is an error.
//   - All problems are reported at once, each beginning with its key.
//   - The case of names is kept: HDB_ADMIN stays HDB_ADMIN.
//
// # What is not here
//
// Nothing is opened, dialled or listened on but the files named above, and none
// of the other packages of the module is known: cmd/opgrant translates a Config
// into theirs.
package config
