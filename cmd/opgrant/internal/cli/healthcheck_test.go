package cli

import "testing"

// The health check of the container must find the server with the environment of the server.
func TestHealthcheckFindsTheServerOfTheContainer(t *testing.T) {
	file := readCompose(t)
	_, p := parse(t, []string{"healthcheck"})
	p.Environ = file.environ(t, "server")
	cfg, err := p.load()
	if err != nil {
		t.Fatal(err)
	}
	if got := reachable(cfg.Listen); got != "127.0.0.1:9925" {
		t.Errorf("asks %s", got)
	}
}

func TestReachable(t *testing.T) {
	for listen, want := range map[string]string{
		"0.0.0.0:1": "127.0.0.1:1", ":1": "127.0.0.1:1", "[::]:1": "[::1]:1", "10.0.0.1:1": "10.0.0.1:1", "localhost:1": "localhost:1",
	} {
		if got := reachable(listen); got != want {
			t.Errorf("%s: got %s, want %s", listen, got, want)
		}
	}
}
