package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

func main() { os.Exit(mainCode()) }

// mainCode is main with its deferred calls run before the process ends.
func mainCode() int {
	// What goes wrong with Redis is an error that we report; the client's own lines would come between ours.
	redis.SetLogger(&logging.VoidLogger{})

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once: the first has given up its handler by then.
	context.AfterFunc(ctx, stop)

	err := run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr) //nolint:forbidigo // the one place that reads the environment
	if err == nil {
		return 0
	}
	var silent exitCode
	if errors.As(err, &silent) {
		return int(silent)
	}
	fmt.Fprintf(os.Stderr, "opgrant: %v\n", err)
	return 1
}

// exitCode is an error whose story has been told already.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }
