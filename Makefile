# `make` lists the targets.

.DEFAULT_GOAL := help
.PHONY: help check test short race faults fuzz lint security vet tidy words cover up down clients

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-8s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check: lint vet tidy words test ## what to run before each commit: lint, vet, tidy, words and test

test: ## every test but those of faults, and which Redis they use (about a minute)
	@bash .ci/redis
	go test ./...

short: ## the quick tests (seconds)
	go test -short ./...

race: ## the quick tests with the race detector
	go test -race -short -timeout 20m ./...

faults: ## Redis that fails: each scenario once, on servers of their own (minutes, needs redis-server)
	OPGRANT_TEST_REQUIRE_REDIS=1 OPGRANT_TEST_FAULTS=short go test -p 1 -timeout 20m ./storage/... ./authserver/... ./cmd/...

fuzz: ## each fuzz test for ten seconds
	bash .ci/fuzz 10s

lint: ## format and lint, with the golangci-lint version of the project
	bash .ci/lint

security: ## gosec and govulncheck, which are installed where they are missing
	bash .ci/security

vet: ## go vet
	go vet ./...

tidy: ## whether go.mod and go.sum are complete
	go mod tidy -diff

words: ## whether the project's words are used
	bash .ci/words

cover: ## coverage of the quick tests
	go test -short -coverprofile=coverage.out ./...
	go tool cover -func=coverage.out | tail -n 1

clients: ## third-party clients against a server (needs Node and Python)
	bash .ci/clients/run

up: ## start the server and Redis in containers
	docker compose up --build --wait

down: ## stop the containers and remove their data
	docker compose down --volumes
