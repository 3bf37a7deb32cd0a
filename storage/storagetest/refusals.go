package storagetest

// Refusals are ways in which Redis refuses new connections, as Faults for a Proxy. :: name → fault
func Refusals() map[string]Faults {
	return map[string]Faults{
		"no password":      {Refuse: "-NOAUTH Authentication required.\r\n"},
		"wrong password":   {Refuse: "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
		"loading":          {Refuse: "-LOADING Redis is loading the dataset in memory\r\n"},
		"primary down":     {Refuse: "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n"},
		"no permission":    {Refuse: "-NOPERM this user has no permissions to run the 'client' command\r\n"},
		"protected mode":   {Refuse: "-DENIED Redis is running in protected mode because protected mode is enabled\r\n", RefuseAtOnce: true},
		"too many clients": {Refuse: "-ERR max number of clients reached\r\n", RefuseAtOnce: true},
		"another protocol": {Refuse: "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", RefuseAtOnce: true},
		"noise":            {Refuse: "\x00\xff\xfe\r\n*-7\r\n"},
		"null":             {Refuse: "$-1\r\n"},
		"an unknown error": {Refuse: "-SOMETHING new\r\n"},
	}
}
