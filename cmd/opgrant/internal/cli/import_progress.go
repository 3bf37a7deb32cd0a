package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/term"
)

const (
	progressDelay = time.Second // what takes less shows nothing
	progressEvery = 200 * time.Millisecond
)

// progress shows on a terminal what a command is doing, in one line that is replaced. Nil shows nothing. It is safe for concurrent
// use.
type progress struct {
	mu    sync.Mutex
	w     io.Writer
	text  string
	shown bool // there is a line to erase

	ended         sync.Once
	stop, stopped chan struct{}
}

// showProgress returns the progress of a command, which end must erase: nil unless standard error is a terminal.
func (p *program) showProgress() *progress {
	if f, ok := p.Stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return startProgress(p.Stderr)
	}
	return nil
}

func startProgress(w io.Writer) *progress {
	p := &progress{w: w, stop: make(chan struct{}), stopped: make(chan struct{})}
	go p.run()
	return p
}

func (p *progress) run() {
	defer close(p.stopped)
	wait := time.NewTimer(progressDelay)
	defer wait.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-wait.C:
			p.print()
			wait.Reset(progressEvery)
		}
	}
}

func (p *progress) print() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.text != "" {
		fmt.Fprintf(p.w, "\r\x1b[K%s", p.text)
		p.shown = true
	}
}

// set says what the command is doing.
func (p *progress) set(format string, args ...any) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = fmt.Sprintf(format, args...)
}

// end erases the line. Nothing is shown afterwards, and it may be called again.
func (p *progress) end() {
	if p == nil {
		return
	}
	p.ended.Do(func() {
		close(p.stop)
		<-p.stopped
		if p.shown {
			fmt.Fprint(p.w, "\r\x1b[K")
		}
	})
}

// grouped writes a number with a comma between thousands.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
