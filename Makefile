# One line per target: `make` lists them.

.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

CARGO ?= cargo
BINARIES := tidegate source-controller kustomize-controller
PURE := api goyaml kustomize manifests redact smd sops versions

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

build: ## Build the release binaries into target/release
	$(CARGO) build --release --locked $(addprefix --bin ,$(BINARIES))

demo: ## From a commit to a healthy cluster and back, on the embedded API
	hack/demo

fmt: ## Format the code
	$(CARGO) fmt --all

lint: ## Formatting, clippy and the rules of the crate layout
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	hack/check-layers $(PURE)

test: ## Build and run all tests
	hack/test

control-plane: ## Build kube-apiserver, etcd and the rest (needs Go), print where they are
	hack/control-plane/build

control-plane-up: ## Start the real control plane, print its KUBECONFIG
	hack/control-plane/up

control-plane-down: ## Stop it
	hack/control-plane/down

e2e: ## Run the integration tests against a real control plane
	hack/e2e

kill-test: ## Kill the controllers at random points, 100 rounds
	$(CARGO) test --locked --package e2e --test kill -- --ignored --nocapture

footprint: ## Measure start, memory, size and API requests of the release binaries
	$(CARGO) build --release --quiet --locked --bin footprint $(addprefix --bin ,$(BINARIES))
	target/release/footprint

bench: ## Time to production, against floors; ARGS="--help" lists what can be chosen
	$(CARGO) build --release --quiet --locked --bin bench $(addprefix --bin ,$(BINARIES))
	target/release/bench $(ARGS)

differential: ## Random requests to the API server of TIDEGATE_KUBECONFIG and the embedded one
	TIDEGATE_SEQUENCES=$${TIDEGATE_SEQUENCES:-10000} $(CARGO) test --locked --package apiserver --test integration -- --nocapture differential::

conformance: ## Build the kustomize corpus of ../shared, with counts
	$(CARGO) test --locked --package kustomize --test integration conformance:: -- --nocapture

fuzz: ## Fuzz kustomize, e.g. make fuzz TARGET=yaml SECONDS=600 (needs cargo-fuzz)
	cd crates/kustomize && RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --sanitizer none $(or $(TARGET),builds) -- -max_total_time=$(or $(SECONDS),60) -timeout=10

bench-kustomize: ## Time and memory of builds, ours and KUBECTL's; of DIRS, or of many trees
	$(CARGO) build --release --quiet --locked --package kustomize --examples
	target/release/examples/bench $(DIRS)

deny: ## Licences, advisories and banned crates (needs cargo-deny)
	$(CARGO) deny --locked check

docs: ## Build the API documentation; broken links are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked

generate: ## Write CRDs and install manifests from the types
	$(CARGO) run --quiet --locked --package xtask -- generate

verify-generated: ## Fail if generated files are not up to date
	$(CARGO) run --quiet --locked --package xtask -- generate --check

verify: lint verify-generated docs test ## What CI runs

.PHONY: help build demo fmt lint test control-plane control-plane-up control-plane-down e2e kill-test footprint bench differential conformance fuzz bench-kustomize deny docs generate verify-generated verify
