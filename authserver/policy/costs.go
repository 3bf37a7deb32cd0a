package policy

// PasswordCosts are the costs of argon2id (RFC 9106) for passwords that are set from now on. Zero fields are the defaults:
// 19 MiB, two iterations, one lane.
type PasswordCosts struct {
	// MemoryKiB is the memory of one hash in KiB.
	MemoryKiB int
	// Iterations are the passes over that memory.
	Iterations int
	// Parallelism is the number of lanes. One leaves the cores to other logins.
	Parallelism int

	// InsecureCheap allows costs below the floor, and weak passwords, for tests whose subject is neither.
	InsecureCheap bool
}

// Bounds of PasswordCosts. Past the upper ones a stored hash could stop the server, and none is verified.
const (
	MinPasswordMemoryKiB   = 8 << 10
	MaxPasswordMemoryKiB   = 1 << 20
	MaxPasswordIterations  = 32
	MaxPasswordParallelism = 64
	// MaxPasswordWorkKiB bounds memory times iterations.
	MaxPasswordWorkKiB = 4 << 20
)

// WithDefaults returns the costs with the zero fields filled.
func (c PasswordCosts) WithDefaults() PasswordCosts {
	if c.MemoryKiB == 0 {
		c.MemoryKiB = 19 << 10 // the floor that OWASP recommends
	}
	if c.Iterations == 0 {
		c.Iterations = 2
	}
	if c.Parallelism == 0 {
		c.Parallelism = 1
	}
	return c
}

// Problems reports which costs are out of bounds. The keys are those of the configuration file.
func (c PasswordCosts) Problems() Problems {
	floor := MinPasswordMemoryKiB
	if c.InsecureCheap {
		floor = 8 * max(c.Parallelism, 1) // RFC 9106 section 3.1
	}
	var p Problems
	p.check("memory_kib", c.MemoryKiB >= floor && c.MemoryKiB <= MaxPasswordMemoryKiB, "%d is not between %d and %d", c.MemoryKiB, floor, MaxPasswordMemoryKiB)
	p.check("iterations", c.Iterations >= 1 && c.Iterations <= MaxPasswordIterations, "%d is not between 1 and %d", c.Iterations, MaxPasswordIterations)
	p.check("parallelism", c.Parallelism >= 1 && c.Parallelism <= MaxPasswordParallelism, "%d is not between 1 and %d", c.Parallelism, MaxPasswordParallelism)
	if len(p) == 0 {
		p.check("iterations", c.MemoryKiB*c.Iterations <= MaxPasswordWorkKiB, "%d iterations over %d KiB are too much", c.Iterations, c.MemoryKiB)
	}
	return p
}

// Bounds of the RSA keys that the server makes.
const (
	DefaultRSABits = 2048
	MaxRSABits     = 8192
)

// RSABitsProblems reports a size of RSA keys that is out of bounds.
func RSABitsProblems(bits int) Problems {
	var p Problems
	p.check("bits", bits >= DefaultRSABits && bits <= MaxRSABits, "%d is not between %d and %d", bits, DefaultRSABits, MaxRSABits)
	return p
}
