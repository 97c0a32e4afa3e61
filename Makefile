# `make test` is all that has to hold; `make run` shows it at work. Both install what is missing.
.PHONY: help run demo lab test lint bench fuzz build-tools demo-tools test-tools fuzz-tools
.DEFAULT_GOAL := help

help: ## Show the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

build-tools demo-tools test-tools fuzz-tools:
	@packaging/prepare.sh $(@:-tools=)

lint: test-tools ## Format, lints, licences, unused dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo deny --log-level error check bans licenses sources
	cargo machete

test: lint ## Everything that has to hold
	cargo build --workspace --locked --bins
	@# Beforehand, so that no test waits for it. Where it cannot be made, the tests say so and are skipped.
	@[ "$$(id -u)" != 0 ] || packaging/lab-root.sh >/dev/null || true
	cargo nextest run --workspace --locked

run: build-tools ## A collector and an agent in monitor mode on this machine's own logs, until Ctrl-C
	cargo build --release --workspace --locked --bins
	@packaging/run.sh

demo: demo-tools ## A real attack on a real sshd, in network namespaces of its own: seen, blocked, undone
	cargo build --release --workspace --locked --bins
	@target/release/demo

lab: test-tools ## A booted host with Picket on it, and an attacker, to play with; MODE=enforce makes it act
	cargo build --release --workspace --locked --bins
	@target/release/lab $(MODE)

bench: test-tools ## The table of figures; fail2ban, where it is installed, is the peer
	cargo build --release --workspace --locked --bins
	cargo bench --locked -p picket-tests

fuzz: fuzz-tools ## Mutations of seeds at all that reads foreign bytes; FUZZ_SECONDS for each target, FUZZ for some of them
	@packaging/fuzz.sh
