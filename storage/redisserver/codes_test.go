package redisserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// issueCode stores a code of a new session, and returns its signature with the request.
func issueCode(t *testing.T, s *storage.Store, c *storage.Client, native bool, subject string) (signature string, req *fosite.Request) {
	t.Helper()
	id := storage.NewSessionID(subject)
	req = request(id, subject, c)
	req.Session.SetExpiresAt(fosite.AuthorizeCode, time.Now().Add(time.Hour))
	if signature = storage.Signature(id, "code"); !native {
		req.ID = "request " + id
		signature = "signature " + id
	}
	if err := s.CreateAuthorizeCodeSession(t.Context(), signature, req); err != nil {
		t.Fatal(err)
	}
	return signature, req
}

// redeem makes the calls of fosite's handler for a code. The tokens have signatures of the same form as the code.
func redeem(ctx context.Context, s *storage.Store, signature, suffix string) error {
	req, err := s.GetAuthorizeCodeSession(ctx, signature, &storagetest.Session{})
	if err != nil {
		return err
	}
	if ctx, err = s.BeginTX(ctx); err != nil {
		return err
	}
	if err := s.InvalidateAuthorizeCodeSession(ctx, signature); err != nil {
		return errors.Join(err, s.Rollback(ctx))
	}
	access, refresh := codeTokens(signature, req.GetID(), suffix)
	err = s.CreateAccessTokenSession(ctx, access, req)
	if err == nil {
		err = s.CreateRefreshTokenSession(ctx, refresh, access, req)
	}
	if err != nil {
		return errors.Join(err, s.Rollback(ctx))
	}
	return s.Commit(ctx)
}

func codeTokens(signature, id, suffix string) (access, refresh string) {
	if strings.HasPrefix(signature, "signature ") {
		return "access " + suffix + signature, "refresh " + suffix + signature
	}
	return storage.Signature(id, "a"+suffix), storage.Signature(id, "r"+suffix)
}

// A hundred callers redeem one code at once, over three stores with connections of their own: one gets tokens, by every way to
// redeem, and the others are told that it was used.
func TestConcurrentRedemptionsOfOneCode(t *testing.T) {
	for name, how := range map[string]struct{ native, tokens bool }{
		"own signatures, with tokens": {true, true}, "foreign signatures, with tokens": {false, true},
		"own signatures, by itself": {true, false}, "foreign signatures, by itself": {false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stores := replicas(t, storagetest.StartInstance(t).Addr)
			c := &storage.Client{ID: "race", Public: true, Grants: []string{"password"}}
			put(t, stores[0], c)
			for range rounds(5, 50, 1000) {
				signature, req := issueCode(t, stores[0], c, how.native, "alice")
				var won atomic.Int64
				winner := ""
				atOnce(100, func(i int) {
					use := func() error { return stores[i%3].InvalidateAuthorizeCodeSession(t.Context(), signature) }
					if how.tokens {
						use = func() error { return redeem(t.Context(), stores[i%3], signature, fmt.Sprint(i)) }
					}
					switch err := use(); {
					case err == nil:
						won.Add(1)
						winner = fmt.Sprint(i) // a race where there are two
					case !errors.Is(err, fosite.ErrInvalidatedAuthorizeCode):
						t.Errorf("caller %d: %v", i, err)
					}
				})
				if won.Load() != 1 {
					t.Fatalf("%d of 100 callers have redeemed one code", won.Load())
				}
				if !how.tokens {
					continue
				}
				for i := range 100 {
					access, refresh := codeTokens(signature, req.ID, fmt.Sprint(i))
					_, a := stores[0].GetAccessTokenSession(t.Context(), access, &storagetest.Session{})
					_, r := stores[0].GetRefreshTokenSession(t.Context(), refresh, &storagetest.Session{})
					if won := fmt.Sprint(i) == winner; (a == nil) != won || (r == nil) != won {
						t.Fatalf("caller %d, won %v: access token %v, refresh token %v", i, won, a, r)
					}
				}
			}
		})
	}
}

// A hundred callers in three processes redeem one code at once.
func TestRedemptionsOfOneCodeByProcesses(t *testing.T) {
	t.Parallel()
	addr := storagetest.StartInstance(t).Addr
	s := newStore(t, connect(t, addr))
	c := &storage.Client{ID: "race", Public: true, Grants: []string{"password"}}
	put(t, s, c)
	var processes []*redeemer
	for _, callers := range []string{"33", "33", "34"} {
		processes = append(processes, startRedeemer(t, addr, callers))
	}
	for round := range rounds(5, 50, 1000) {
		signature, _ := issueCode(t, s, c, round%2 == 0, "alice")
		for _, p := range processes {
			if _, err := fmt.Fprintln(p.in, signature); err != nil {
				t.Fatal(err)
			}
		}
		won, others := 0, 0
		for _, p := range processes {
			w, o := p.result(t)
			won, others = won+w, others+o
		}
		if won != 1 || others != 0 {
			t.Fatalf("round %d: %d of 100 callers have redeemed one code, %d errors", round, won, others)
		}
	}
}

// redeemer is a process that redeems each code whose signature it reads, by many callers at once.
type redeemer struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// result reads how many callers of the process have redeemed the code, and how many have another error than that it was used.
func (p *redeemer) result(t *testing.T) (won, others int) {
	t.Helper()
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			t.Fatalf("a process has ended: %v", err)
		}
		if _, err := fmt.Sscanf(line, "redeemed %d, others %d", &won, &others); err == nil { // the package prints lines of its own
			return won, others
		}
	}
}

const redeemerAddr, redeemerCallers = "OPGRANT_TEST_REDEEMER_ADDR", "OPGRANT_TEST_REDEEMER_CALLERS"

func startRedeemer(t *testing.T, addr, callers string) *redeemer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRedeemerProcess$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), redeemerAddr+"="+addr, redeemerCallers+"="+callers)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return &redeemer{in: in, out: bufio.NewReader(out)}
}

// TestRedeemerProcess is the main function of such a process.
func TestRedeemerProcess(t *testing.T) {
	addr := os.Getenv(redeemerAddr)
	if addr == "" {
		t.Skip("runs as a process of TestRedemptionsOfOneCodeByProcesses")
	}
	var callers int
	if _, err := fmt.Sscan(os.Getenv(redeemerCallers), &callers); err != nil {
		t.Fatal(err)
	}
	s := newStore(t, connect(t, addr))
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var won, others atomic.Int64
		atOnce(callers, func(i int) {
			err := redeem(t.Context(), s, lines.Text(), fmt.Sprint(os.Getpid(), i))
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, fosite.ErrInvalidatedAuthorizeCode) {
				others.Add(1)
				t.Log(err)
			}
		})
		fmt.Printf("redeemed %d, others %d\n", won.Load(), others.Load())
	}
}
