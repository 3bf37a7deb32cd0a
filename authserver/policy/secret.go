package policy

import (
	"math"
	"strings"
	"unicode"
)

// MinSecret is the shortest client secret that people may choose, in bytes, and MinSecretBits how much there must be to guess
// in it, as estimated by SecretProblems. A secret of 16 random characters is far above both. The server makes secrets of 256
// bits itself.
const (
	MinSecret     = 8
	MinSecretBits = 48
)

// SecretProblems reports what is wrong with a client secret that people chose, before it is hashed: it is too short, common, or
// too easy to guess.
//
// The estimate is simple. Each character counts for the size of the classes that the secret uses (a-z, A-Z, 0-9, ASCII
// punctuation, others). One that only continues a row of three or more counts for a single bit: the same again, one up or down,
// the next on the keyboard. A part that is repeated counts once.
func SecretProblems(secret string) Problems {
	var p Problems
	switch bits := guessBits(secret); {
	case len(secret) < MinSecret:
		p.check("secret", false, "shorter than %d characters", MinSecret)
	case common(strings.ToLower(secret)):
		p.check("secret", false, "one of the most common passwords")
	case bits < MinSecretBits:
		p.check("secret", false, "too easy to guess: about %.0f bits, where %d are needed; take a random one", bits, MinSecretBits)
	}
	return p
}

// guessBits estimates how much there is to guess in a secret. See SecretProblems.
func guessBits(secret string) float64 {
	runes := []rune(secret)
	if len(runes) == 0 {
		return 0
	}
	once := runes[:period(runes)]
	bits := math.Log2(float64(len(runes)) / float64(len(once)))
	perRune := math.Log2(float64(classes(once)))
	for i := range once {
		if s := step(once, i); s != noStep && (s == step(once, i-1) || s == step(once, i+1)) {
			bits++
		} else {
			bits += perRune
		}
	}
	return bits
}

// period is the length of the shortest part that the runes repeat, their number where they repeat none.
func period(runes []rune) int {
	for n := 1; n <= len(runes)/2; n++ {
		repeats := true
		for i := n; i < len(runes) && repeats; i++ {
			repeats = runes[i] == runes[i-n]
		}
		if repeats {
			return n
		}
	}
	return len(runes)
}

// classes is how many characters there are in the classes that the runes use.
func classes(runes []rune) int {
	sizes := map[int]bool{}
	sum := 0
	for _, r := range runes {
		size := 33 // ASCII punctuation, with the space
		switch {
		case r >= 'a' && r <= 'z':
			size = 26
		case r >= 'A' && r <= 'Z':
			size = -26
		case r >= '0' && r <= '9':
			size = 10
		case r > unicode.MaxASCII:
			size = 100
		}
		if !sizes[size] {
			sizes[size] = true
			sum += max(size, -size)
		}
	}
	return sum
}

// The ways in which a character continues the one before.
const (
	noStep = iota
	same
	up
	down
	right // on the keyboard
	left
)

// keyboard holds the rows of a keyboard. Those of digits are found by up and down.
const keyboard = "qwertyuiop asdfghjkl zxcvbnm"

// step tells how the i-th rune continues the one before it.
func step(runes []rune, i int) int {
	if i < 1 || i >= len(runes) {
		return noStep
	}
	before, r := unicode.ToLower(runes[i-1]), unicode.ToLower(runes[i])
	switch {
	case r == before:
		return same
	case r == before+1:
		return up
	case r == before-1:
		return down
	case before == ' ' || r == ' ':
		return noStep
	case strings.Contains(keyboard, string([]rune{before, r})):
		return right
	case strings.Contains(keyboard, string([]rune{r, before})):
		return left
	}
	return noStep
}
