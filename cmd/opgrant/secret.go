package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxSecret bounds what is read as a password or secret.
const maxSecret = 4096

// readSecret gets a secret from the file that a flag named ("-" is standard input), or asks for it. There is no way to
// give one as an argument: arguments are seen by every user of the machine and kept in shell histories.
func (p *program) readSecret(path, what string) (string, error) {
	switch path {
	case "":
		return p.askSecret(what)
	case "-":
		return readLine(p.stdin, what)
	default:
		raw, err := os.ReadFile(path) //nolint:gosec // the operator names the file
		if err != nil {
			return "", err
		}
		return oneLine(raw, what)
	}
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
	terminal, ok := p.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return "", fmt.Errorf("%s: no terminal to ask at; name a file, or - for standard input", what)
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
	fmt.Fprint(p.stderr, prompt)
	entry, err := term.ReadPassword(int(terminal.Fd()))
	fmt.Fprintln(p.stderr)
	return string(entry), err
}
