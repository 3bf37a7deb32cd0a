package throttle

// Stats are counts of this process so far, for metrics.
type Stats struct {
	Waited         int64 // logins that waited for the results of others
	Waiting        int   // those that do now
	WrongSecrets   int64 // of clients, repeated ones included
	RefusedSecrets int64 // not compared, because too many were wrong
}

// Stats returns the counts of this process.
func (t *Throttle) Stats() Stats {
	return Stats{
		Waited: t.queue.waited.Load(), Waiting: t.queue.Waiting(),
		WrongSecrets: t.secrets.failures.Load(), RefusedSecrets: t.secrets.refusals.Load(),
	}
}
