package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/opgrant/opgrant/cmd/opgrant/internal/cli"
)

// version is set by the linker in images. Empty: the version of the module.
var version string

func main() { os.Exit(mainCode()) }

// mainCode is main with its deferred calls run before the process ends.
func mainCode() int {
	// Errors of Redis reach the caller, who logs them. The client's own lines would repeat them.
	redis.SetLogger(&logging.VoidLogger{})

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once

	err := run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr) //nolint:forbidigo // the one place that reads the environment
	if err == nil {
		return 0
	}
	var reported cli.ExitCode
	if errors.As(err, &reported) {
		return int(reported)
	}
	fmt.Fprintf(os.Stderr, "opgrant: %v\n", err)
	return 1
}

// run is the program, with everything that it gets from the process as arguments.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) error {
	return cli.Program{Version: version, Environ: environ, Stdin: stdin, Stdout: stdout, Stderr: stderr}.Run(ctx, args)
}
