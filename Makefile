# SPDX-License-Identifier: GPL-3.0-or-later
# `make site` runs the four nodes, `make test` proves them; everything they need is made below this folder.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
INVENTORY ?= inventory/four_node
VENV := .venv
BIN := $(VENV)/bin
PLAY := $(BIN)/ansible-playbook -i $(INVENTORY)
DATA ?= no
# Any other image of Consul to test with, like one of the matrix in .github/workflows/ci.yml.
CONSUL_IMAGE ?=
export CONSUL_IMAGE
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help
help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

.PHONY: site
site: environment ## Run four nodes and Registrator on this machine
	$(PLAY) site.yml $(ARGS)

.PHONY: health
health: environment ## Ask the cluster how it is
	$(PLAY) playbooks/health.yml $(ARGS)

.PHONY: demo
demo: environment ## Show on the four nodes of `make site` how services are found and called, also while Consul is away
	$(PLAY) playbooks/demo.yml $(ARGS)

.PHONY: clean
clean: environment ## Remove what `make site` made; the data too with DATA=yes
	$(PLAY) playbooks/clean.yml -e clean_data=$(DATA) $(ARGS)
	rm -rf $(VENV) .cache

.PHONY: docs
docs: test-environment ## Write what follows from the argument specifications
	$(BIN)/python docs/render.py

.PHONY: test
test: test-environment ## Everything that proves it, or some of it: STEPS="unit lint types sanity four-node many-hosts"
	tests/run $(STEPS)

.PHONY: test-registrator
test-registrator: test-environment ## Registrator on a real engine with a real Consul: bursts, restarts, registries
	tests/registrator

.PHONY: test-discovery
test-discovery: test-environment ## The library consul_discovery on a real Consul, under a minute of changes
	tests/discovery

.PHONY: test-dns
test-dns: test-environment ## Consul's names on hosts and in containers, with each resolver that a host may have
	tests/dns

.PHONY: test-acl
test-acl: test-environment ## Rights in a real Consul: two owners, adoption, and what an application's token may do
	tests/acl

.PHONY: test-plugins
test-plugins: test-environment ## Inventory, lookup and module that read from a real Consul with ACLs and TLS
	tests/plugins

.PHONY: test-changes
test-changes: test-environment ## What check mode predicts of some sixty changes, and what they then do
	tests/changes/run

.PHONY: test-ansible
test-ansible: ## Each supported ansible-core that this machine has a Python for: CORES="2.20", CORES=--no-engine
	tests/ansible/run $(CORES)

.PHONY: test-secure
test-secure: test-environment ## An open cluster that is made secure while it runs
	molecule test --scenario-name secure

.PHONY: test-engines
test-engines: test-environment ## One cluster on the oldest and the newest Docker engines that Debian has
	molecule test --scenario-name engines

.PHONY: test-faults
test-faults: test-environment ## Four nodes under load while something happens to them: FAULTS="--short", or names
	tests/faults/run $(FAULTS)

.PHONY: benchmark
benchmark: test-environment ## Ratios against the peers, on a machine where the ports are free
	$(BIN)/python tests/benchmark/nodes.py

.PHONY: benchmark-discovery
benchmark-discovery: test-environment ## What a killed instance costs those who call its service, each in its own way
	tests/benchmark/run-discovery

.PHONY: benchmark-registrator
benchmark-registrator: test-environment ## What Registrator costs, alone and with thousands of containers: ONLY=deadlines takes ten minutes
	tests/benchmark/run-registrator $(if $(ONLY),--only $(ONLY))

.PHONY: build
build: test-environment ## A tarball of the collection in dist/
	$(BIN)/ansible-galaxy collection build --output-path dist --force

.PHONY: publish
publish: build ## Publish that tarball where ansible-galaxy is set up to: ARGS="--server NAME"
	@! grep -q '^repository: .*example\.invalid' galaxy.yml || \
	  { echo 'Nothing is published: galaxy.yml does not say where the repository is. Set repository there, and run make docs.' >&2; exit 1; }
	$(BIN)/ansible-galaxy collection publish $(ARGS) "$$($(BIN)/python -c \
	  'import yaml; print("dist/{namespace}-{name}-{version}.tar.gz".format(**yaml.safe_load(open("galaxy.yml"))))')"

.PHONY: environment
environment: $(VENV)/.installed

.PHONY: test-environment
test-environment: $(VENV)/.test-installed

# The link makes the work tree itself resolvable as discovery.consul: there is no copy that could go stale.
$(VENV)/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with PYTHON=...")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $$([[ $$(id -u) = 0 ]] || echo sudo) apt-get install --yes python3-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --disable-pip-version-check --requirement requirements.txt
	mkdir -p $(VENV)/collections/ansible_collections/discovery
	ln -sfn ../../../.. $(VENV)/collections/ansible_collections/discovery/consul
	touch $@

$(VENV)/.test-installed: $(VENV)/.installed requirements-test.txt
	$(BIN)/pip install -qq --disable-pip-version-check --requirement requirements-test.txt
	touch $@
