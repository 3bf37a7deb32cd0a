package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opgrant/opgrant/compat/wiretest"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// guideBlock is a fenced block of a guide: commands, or what they print.
type guideBlock struct {
	line     int
	kind     string // sh, or text for the output of the commands before
	text     string
	heading  string
	exitCode string // of the commands, "" for success; the guide has it as "# exit code N" on the last line
}

var fence = regexp.MustCompile("(?m)^```([a-z]*)\n((?s:.*?)\n)```$")

func readGuide(t *testing.T, path string) []guideBlock {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []guideBlock
	for _, m := range fence.FindAllSubmatchIndex(raw, -1) {
		before := string(raw[:m[0]])
		heading, _, _ := strings.Cut(before[strings.LastIndex(before, "\n#")+1:], "\n")
		b := guideBlock{line: strings.Count(before, "\n") + 1, kind: string(raw[m[2]:m[3]]), text: string(raw[m[4]:m[5]]), heading: heading}
		if _, code, ok := strings.Cut(b.text, "# exit code "); ok {
			b.exitCode = strings.TrimSpace(code)
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// guide runs the commands of a guide, one block after the other in one folder.
type guide struct {
	dir     string
	replace *strings.Replacer // the addresses in the guide → those of the test
	ready   string            // URL
	serving *exec.Cmd
	ended   chan struct{} // closed when serving has ended
}

// TestMigrationGuide runs every command of docs/migration.md against a server that answers as the recorded one, and compares
// what they print with what the guide says.
func TestMigrationGuide(t *testing.T) {
	if testing.Short() {
		t.Skip("starts dozens of processes")
	}
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	data, old := newOldServer(t), startFleetServer(t)
	old.Key = data.private
	old.PutUser(wiretest.OldUser{Name: "alice", Password: "password of alice", Role: "reader", Active: true})
	old.PutUser(wiretest.OldUser{Name: "bob", Password: "password of bob", Role: "reader", Active: true})
	redis := storagetest.StartRedis(t, storagetest.Options{AOF: storagetest.AOFAlways}).URL()
	listen, admin := freeAddress(t), freeAddress(t)
	oldURL, err := url.Parse(old.url)
	if err != nil {
		t.Fatal(err)
	}
	g := &guide{dir: t.TempDir(), ready: "http://" + listen + "/readyz", replace: strings.NewReplacer(
		"old.example.com:9925", oldURL.Host, "127.0.0.1:9925", listen, "127.0.0.1:9926", admin, "redis://127.0.0.1:6379/0", redis,
	)}
	t.Cleanup(g.stop)
	// The guide copies the folder of keys from the old machine.
	bin := t.TempDir()
	mustWrite(t, filepath.Join(bin, "scp"), "#!/bin/sh\ncp -r "+data.dir+" keys\n")
	if err := os.Chmod(filepath.Join(bin, "scp"), 0o700); err != nil { // #nosec G302 -- it is a program
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))

	t.Setenv("OPGRANT_LISTEN", listen) // for the server that has no configuration
	t.Setenv("OPGRANT_ADMIN_LISTEN", admin)
	t.Setenv("OPGRANT_HTTP_DRAIN_DELAY", "0s") // no proxy has to notice

	var printed string
	ran := 0
	for _, b := range readGuide(t, filepath.FromSlash("../../docs/migration.md")) {
		switch b.kind {
		case "sh":
			printed = g.run(t, b)
			ran++
		case "text":
			if problem := missing(g.replace.Replace(b.text), printed); problem != "" {
				t.Errorf("docs/migration.md:%d (%s): no line like %q in\n%s", b.line, b.heading, problem, printed)
			}
		default:
			t.Errorf("docs/migration.md:%d: a block of kind %q", b.line, b.kind)
		}
		if t.Failed() {
			logs, _ := os.ReadFile(filepath.Join(g.dir, "log"))
			t.Fatalf("the server said:\n%s", logs)
		}
	}
	if ran < 15 {
		t.Errorf("only %d blocks of commands", ran)
	}
}

// run runs one block with the variables that the blocks before have exported. A block that starts a server leaves it running, in
// place of the one before.
func (g *guide) run(t *testing.T, b guideBlock) string {
	t.Helper()
	text := g.replace.Replace(b.text)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	serves := strings.Contains(text, "opgrant serve")
	if serves {
		g.stop()
		text = "exec " + strings.TrimSpace(text)
	}
	cmd := exec.CommandContext(ctx, "bash", "-c", "[ ! -f .exported ] || . ./.exported\nset -euo pipefail\n"+text+"\ndeclare -p | grep -vE '^declare -[a-z]*r|BASH|FUNCNAME|GROUPS|DIRSTACK|PIPESTATUS' > .exported\ndeclare -f >> .exported\n") // #nosec G204 -- the guide is ours
	cmd.Dir = g.dir
	if serves {
		cmd = exec.CommandContext(context.WithoutCancel(t.Context()), cmd.Path, cmd.Args[1:]...) // #nosec G204 -- as above
		cmd.Dir = g.dir
		logs, err := os.Create(filepath.Join(g.dir, "log"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = logs.Close() }()
		cmd.Stdout, cmd.Stderr = logs, logs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		g.serving, g.ended = cmd, make(chan struct{})
		go func() { defer close(g.ended); _ = cmd.Wait() }()
		g.await(t, b)
		return ""
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	code := ""
	if err != nil {
		code = fmt.Sprint(cmd.ProcessState.ExitCode())
	}
	if code != b.exitCode {
		t.Errorf("docs/migration.md:%d (%s): %v\n%s\n%s", b.line, b.heading, err, text, out.String())
	}
	return out.String()
}

func (g *guide) await(t *testing.T, b guideBlock) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		select {
		case <-g.ended:
			t.Errorf("docs/migration.md:%d: the server has ended", b.line)
			return
		default:
		}
		resp, err := http.Get(g.ready)
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	t.Errorf("docs/migration.md:%d: the server did not get ready", b.line)
}

// stop ends the server as an operator does.
func (g *guide) stop() {
	if g.serving == nil {
		return
	}
	_ = g.serving.Process.Signal(syscall.SIGTERM)
	<-g.ended
	g.serving = nil
}

// missing returns the first line of a block for which no line was printed. "…" stands for anything, blanks for any number of them.
func missing(wanted, printed string) string {
	for line := range strings.Lines(wanted) {
		var parts []string
		for _, part := range strings.Split(strings.TrimSpace(line), "…") {
			words := strings.Fields(part)
			for i := range words {
				words[i] = regexp.QuoteMeta(words[i])
			}
			parts = append(parts, strings.Join(words, `\s+`))
		}
		pattern := regexp.MustCompile(`(?m)^\s*` + strings.Join(parts, `.*`) + `\s*$`)
		if strings.TrimSpace(line) != "" && !pattern.MatchString(printed) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// freeAddress is an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
