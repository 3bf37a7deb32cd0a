package cli

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/config"
)

func TestComposeUsesTheProgramAsItIs(t *testing.T) {
	file := readCompose(t)
	for _, name := range file.programServices() {
		t.Run(name, func(t *testing.T) {
			service := file.Services[name]
			_, p := parse(t, service.Command)
			p.Environ = file.environ(t, name)
			cfg, err := p.load()
			if err != nil {
				t.Fatal(err)
			}
			if warnings := cfg.Warnings(); name == "server" && len(warnings) > 0 {
				t.Errorf("it is strict, and would not start: %v", warnings)
			}
			endpoint, err := cfg.Redis.Endpoint()
			if err != nil {
				t.Fatal(err)
			}
			host, _, _ := strings.Cut(endpoint.Addrs[0], ":")
			if _, ok := file.Services[host]; !ok {
				t.Errorf("Redis is looked for at %s, which is not a service", host)
			}
			if endpoint.Password == "" || cfg.Secret == "" {
				t.Error("no password for Redis, or no secret for the keys")
			}
			if strings.Contains(cfg.String(), string(endpoint.Password)) {
				t.Error("the password is shown")
			}
			for _, port := range service.Ports {
				published := port[strings.LastIndex(port, ":")+1:]
				if _, listen, _ := net.SplitHostPort(cfg.Listen); listen != published {
					t.Errorf("port %s is published, %s is listened on", published, listen)
				}
				if !strings.HasPrefix(port, "127.0.0.1:") {
					t.Errorf("port %s is open to other machines, and the passwords are public", port)
				}
			}
		})
	}
	if len(file.Services["server"].Ports) == 0 {
		t.Error("the server publishes no port")
	}
}

// A container that is killed while it drains fails requests.
func TestComposeWaitsForTheEnd(t *testing.T) {
	file := readCompose(t)
	service := file.Services["server"]
	_, p := parse(t, service.Command)
	p.Environ = file.environ(t, "server")
	cfg, err := p.load()
	if err != nil {
		t.Fatal(err)
	}
	grace, err := time.ParseDuration(service.StopGracePeriod)
	if needs := cfg.HTTP.DrainDelay + cfg.HTTP.ShutdownTimeout; err != nil || grace <= needs {
		t.Errorf("it is killed after %q, and may need %s to end", service.StopGracePeriod, needs)
	}
}

func TestComposeSeedsWhatDevHas(t *testing.T) {
	file := readCompose(t)
	_, p := parse(t, file.Services["seed"].Command)
	p.Environ = file.environ(t, "seed")
	cfg, err := p.load()
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Users) != len(config.Dev().Users) || len(cfg.Clients) != len(config.Dev().Clients) {
		t.Errorf("seeds %d users and %d clients", len(cfg.Users), len(cfg.Clients))
	}
}

// `docker compose up --wait` waits for a one-shot service to end well only when another service depends on that.
func TestComposeStartsInOrder(t *testing.T) {
	file := readCompose(t)
	for _, row := range []struct{ service, on, condition string }{
		{"seed", "redis", "service_healthy"},
		{"server", "redis", "service_healthy"},
		{"server", "seed", "service_completed_successfully"},
	} {
		if got := file.Services[row.service].DependsOn[row.on].Condition; got != row.condition {
			t.Errorf("%s waits for %s %q, want %q", row.service, row.on, got, row.condition)
		}
	}
	if check := file.Services["seed"].Healthcheck; check == nil || !check.Disable {
		t.Error("the seed has the health check of the image, which needs a server")
	}
	redis := file.Services["redis"]
	if redis.Healthcheck == nil {
		t.Fatal("redis has no healthcheck to wait for")
	}
	command := strings.Join(redis.Command, " ")
	for _, want := range []string{"--appendonly yes", "--maxmemory-policy noeviction", "/run/secrets/redis_password"} {
		if !strings.Contains(command, want) {
			t.Errorf("redis runs without %s", want)
		}
	}
	if !slices.Contains(redis.Secrets, "redis_password") {
		t.Error("redis does not get its password")
	}
}
