package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/opgrant/opgrant/authserver/resource"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "example-service:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("example-service", flag.ContinueOnError)
	flags.SetOutput(stderr)
	issuer := flags.String("issuer", "http://127.0.0.1:9925", "`URL` of the authorization server")
	listen := flags.String("listen", "127.0.0.1:9930", "`address` to listen on")
	audience := flags.String("audience", "", "`name` that tokens must be for (default: the issuer)")
	introspect := flags.String("introspect", "", "introspect every token as this `client`")
	secretFile := flags.String("secret-file", "", "`file` with the secret of that client")
	if err := flags.Parse(args); err != nil {
		return err
	}
	config := resource.Config{Issuer: *issuer, Audience: *audience, Legacy: true, LegacyScopes: []string{"things:read"}}
	if *introspect != "" {
		secret, err := os.ReadFile(*secretFile)
		if err != nil {
			return fmt.Errorf("secret: %w", err)
		}
		config.Introspection = &resource.Introspection{ClientID: *introspect, ClientSecret: strings.TrimSpace(string(secret))}
	}
	guard, err := resource.New(config)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "listening on http://%s, for tokens of %s\n", listener.Addr(), *issuer)
	server := &http.Server{Handler: routes(guard), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(grace)
	})()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// routes is the whole service: a guard in front of each handler, and claims inside.
func routes(guard *resource.Guard) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /me", guard.Require()(http.HandlerFunc(me)))
	mux.Handle("GET /things", guard.Require("things:read")(http.HandlerFunc(things)))
	return mux
}

func me(w http.ResponseWriter, r *http.Request) {
	claims, _ := resource.From(r.Context())
	answer(w, map[string]any{
		"subject": claims.Subject, "client": claims.Client, "scopes": claims.Scopes, "legacy": claims.Legacy,
		"super_user": claims.SuperUser, "expires": claims.Expires.UTC(),
	})
}

func things(w http.ResponseWriter, r *http.Request) {
	claims, _ := resource.From(r.Context())
	answer(w, map[string]any{"things": []string{"a lamp", "a chair"}, "for": claims.Subject})
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}
