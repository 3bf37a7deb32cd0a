package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/storagetest"
)

const guessesConfig = burstConfig + `
trusted_proxies: [127.0.0.0/8]
users:
  - {username: known, password: the password of known}
  - {username: moving, password: the password of moving}
`

// While others guess at an account eight times a second, its owner logs in: always from a network where that has succeeded
// before, and nearly always from a new one.
func TestTheOwnerLogsInDuringGuesses(t *testing.T) {
	seconds := map[string]int{"short": 20, "full": 100}[os.Getenv("OPGRANT_TEST_FAULTS")]
	if seconds == 0 {
		t.Skip("takes up to four minutes: set OPGRANT_TEST_FAULTS=short or full")
	}
	for _, guessers := range []string{"one network", "a network for each guess"} {
		t.Run(guessers, func(t *testing.T) {
			redis := storagetest.StartRedis(t, storagetest.Options{}).URL()
			initStore(t, redis)
			file := filepath.Join(t.TempDir(), "opgrant.yaml")
			mustWrite(t, file, guessesConfig)
			server := startProcess(t, redis, file)

			login := func(user, password, address string) int {
				req := loginRequest(t, "create", server, user, password)
				req.Header.Set("X-Forwarded-For", address)
				resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
				if err != nil {
					return 0
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				return resp.StatusCode
			}
			if status := login("known", "the password of known", "192.0.2.1"); status != http.StatusOK {
				t.Fatalf("login before the guesses: %d", status)
			}
			var (
				mu      sync.Mutex
				waiting sync.WaitGroup
				guesses = map[int]int{}
				owners  = map[string]map[int]int{"known": {}, "moving": {}}
			)
			count := func(in map[int]int, status int) { mu.Lock(); in[status]++; mu.Unlock() }
			const before = 4 // seconds of guesses before the owner comes
			for i := range 8 * (before + seconds) {
				for user := range owners {
					address := "198.51.100.7"
					if guessers != "one network" {
						address = fmt.Sprintf("10.%d.%d.1", i/256, i%256)
					}
					waiting.Go(func() { count(guesses, login(user, fmt.Sprint("guess ", i), address)) })
					if i >= 8*before && i%8 == 4 {
						home := map[string]string{"known": "192.0.2.77", "moving": "203.0.113.5"}[user]
						waiting.Go(func() { count(owners[user], login(user, "the password of "+user, home)) })
					}
				}
				time.Sleep(time.Second / 8)
			}
			waiting.Wait()
			t.Logf("guesses: %s; owner in a known network: %s; in a new one: %s",
				describe(guesses), describe(owners["known"]), describe(owners["moving"]))
			if owners["known"][http.StatusOK] != seconds {
				t.Errorf("the owner in a known network: %s", describe(owners["known"]))
			}
			if owners["moving"][http.StatusOK] < seconds*95/100 {
				t.Errorf("the owner in a new network: %s", describe(owners["moving"]))
			}
			if guesses[http.StatusOK] > 0 {
				t.Errorf("guesses: %s", describe(guesses))
			}
			// The logins of the owner forgive nobody else: one network has ten guesses, and one more every 30 seconds.
			if most := len(owners) * (11 + (before+seconds)/30); guessers == "one network" && guesses[http.StatusUnauthorized] > most {
				t.Errorf("%d guesses were compared, want at most %d", guesses[http.StatusUnauthorized], most)
			}
		})
	}
}
