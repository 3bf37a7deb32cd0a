package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxSecret is the longest password or secret that is read, in bytes.
const maxSecret = 4096

// readSecret reads a secret from a file ("-" is standard input), or prompts for it when there is no path. A secret is never an
// argument: every user of the machine can see those, and shells keep them in their history.
func (p *program) readSecret(path, what string) (string, error) {
	switch path {
	case "":
		return p.askSecret(what)
	case "-":
		return readLine(p.Stdin, what)
	default:
		raw, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
		if err != nil {
			return "", err
		}
		return oneLine(raw, what)
	}
}

// readPassword is readSecret for a password that exists already: it prompts once.
func (p *program) readPassword(path, what string) (string, error) {
	terminal, ok := p.Stdin.(*os.File)
	if path != "" || !ok || !term.IsTerminal(int(terminal.Fd())) {
		return p.readSecret(path, what)
	}
	entry, err := p.askOnce(terminal, what+": ")
	if err != nil {
		return "", err
	}
	return oneLine([]byte(entry), what)
}

func readLine(r io.Reader, what string) (string, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxSecret+2))
	if err != nil {
		return "", err
	}
	return oneLine(raw, what)
}

func oneLine(raw []byte, what string) (string, error) {
	secret := strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
	switch {
	case secret == "":
		return "", fmt.Errorf("%s: empty", what)
	case len(secret) > maxSecret:
		return "", fmt.Errorf("%s: longer than %d bytes", what, maxSecret)
	}
	return secret, nil
}

func (p *program) askSecret(what string) (string, error) {
	terminal, ok := p.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return "", fmt.Errorf("%s: no terminal for a prompt; name a file, or - for standard input", what)
	}
	first, err := p.askOnce(terminal, what+": ")
	if err != nil {
		return "", err
	}
	second, err := p.askOnce(terminal, what+", again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two entries differ")
	}
	if first == "" {
		return "", fmt.Errorf("%s: empty", what)
	}
	return first, nil
}

func (p *program) askOnce(terminal *os.File, prompt string) (string, error) {
	fmt.Fprint(p.Stderr, prompt)
	entry, err := term.ReadPassword(int(terminal.Fd()))
	fmt.Fprintln(p.Stderr)
	return string(entry), err
}
