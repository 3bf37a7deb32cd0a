// Package harper reads the users and roles of a HarperDB server, for a migration: through its operations API with
// [Source.Fetch], or from a file with the same rows with [Export.Read]. It changes nothing on that server, and it does not store
// what it reads. A row that cannot be read costs that row alone: see [Export.Refused].
package harper
