# chat-operator. `make help` lists what there is. A fresh machine needs Go and make; with a C compiler, `make race` runs the
# tests under the race detector.

# --- What can be set: make run XMPP_PORT=15222, make test GO=go1.26 ------------------------------------------------------------
GO ?= go

# `make run`: the cluster ("local" starts one, "current" uses that of KUBECONFIG), the namespace, that is the chat server,
# its XMPP domain, the folder of data, whether the samples are applied to a new one, whether the operator is started (else only
# the control plane), and ports on 127.0.0.1 (PORTS=free finds free ones).
CLUSTER ?= local
NAMESPACE ?= chat
DOMAIN ?= localhost
RUN_DIR ?= .run
SAMPLES ?= true
OPERATOR ?= true
LOG_LEVEL ?= info
PORTS ?=
ifneq ($(PORTS),free)
XMPP_PORT ?= 5222
XMPPS_PORT ?= 5223
REST_PORT ?= 9090
REST_TLS_PORT ?= 9091
HEALTH_PORT ?= 18081
METRICS_PORT ?= 18080
APISERVER_PORT ?= 16443
ETCD_PORT ?= 12379
ETCD_PEER_PORT ?= 12380
CONTROLLER_MANAGER_PORT ?= 20257
endif
# Further flags of the operator.
ARGS ?=

# `make test` and `make race`: which packages; the race detector, where there is a C compiler; how long a fuzz target runs.
PACKAGES ?=
# SQLite is C made Go: it takes its memory from the system, where the race detector does not look, and is slow under it for nothing.
RACE ?= $(shell command -v $$($(GO) env CC) >/dev/null 2>&1 && echo -race -gcflags=modernc.org/sqlite/lib=-race=false)
FUZZTIME ?= 30s
BENCH ?= .
ROUNDS ?= 50

# `make bench`: flags of the benchmark, such as -rounds 1 -n 500 -only floor,self (docs/performance.md).
BENCHFLAGS ?=

# `make e2e FOCUS=pattern`: the scenarios whose names match.
FOCUS ?=

# The image of `make image` and `make docker-build`; `make image ARCH=arm64` for the other architecture.
IMG ?= chat-operator:dev
ARCH ?= amd64
DOCKER ?= docker

# What is built, tested and linted here is compiled without C, so that it shares what it is made of; only the race detector and runc take C.
export CGO_ENABLED := 0

# --- What follows from it --------------------------------------------------------------------------------------------------------
BIN := bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION)
# What an image says of its source; the time is also that of its files, so that one commit always gives the same image.
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

# etcd, kube-apiserver, ...: those of KUBEBUILDER_ASSETS where that is set, else built from hack/controlplane.
ifdef KUBEBUILDER_ASSETS
ASSETS := $(abspath $(KUBEBUILDER_ASSETS))
else
ASSETS := $(abspath $(BIN)/k8s)
endif

# The two halves of IMG.
IMG_TAG = $(lastword $(subst :, ,$(IMG)))
IMG_REPOSITORY = $(IMG:%:$(IMG_TAG)=%)

# The newest release before this commit, from which `make e2e` upgrades; empty as long as there is none.
OLDER ?= $(shell git describe --tags --abbrev=0 --match 'v*' HEAD^ 2>/dev/null)

# The cluster of `make e2e` and `make cluster-up`.
CLUSTER_FLAGS = --binaries=$(ASSETS) --node-binaries=$(abspath $(BIN)/node) --image=$(abspath $(BIN)/image/chat-operator-$(ARCH).tar)

# Ports that have been given; the others are free ones.
PORT_FLAGS = $(if $(XMPP_PORT),--xmpp-port=$(XMPP_PORT)) $(if $(XMPPS_PORT),--xmpps-port=$(XMPPS_PORT)) \
	$(if $(REST_PORT),--rest-port=$(REST_PORT)) $(if $(REST_TLS_PORT),--rest-tls-port=$(REST_TLS_PORT)) \
	$(if $(HEALTH_PORT),--health-port=$(HEALTH_PORT)) $(if $(METRICS_PORT),--metrics-port=$(METRICS_PORT)) \
	$(if $(APISERVER_PORT),--apiserver-port=$(APISERVER_PORT)) $(if $(ETCD_PORT),--etcd-port=$(ETCD_PORT)) \
	$(if $(ETCD_PEER_PORT),--etcd-peer-port=$(ETCD_PEER_PORT)) $(if $(CONTROLLER_MANAGER_PORT),--controller-manager-port=$(CONTROLLER_MANAGER_PORT))

# Modules of this repository.
MODULES := . hack/controlplane hack/tools hack/tools/lint hack/tools/helm hack/bench hack/gitops hack/image cmd/kubectl-chat hack/tools/prometheus hack/charts hack/tools/release hack/tools/containerd hack/tools/runc
# Where the race detector pays: everything with goroutines of its own.
RACE_PACKAGES := . ./xmpp/... ./restserver/... ./controllers/... ./hack/internal/...

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

##@ Start here

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVariables stand at the top of the Makefile.\n'

.PHONY: run
run: run-variables $(if $(filter current,$(CLUSTER)),,controlplane) build ## Start a chat server with a Kubernetes of its own, on loopback (CLUSTER=current: in the cluster of KUBECONFIG)
	@exec $(BIN)/run up --cluster=$(CLUSTER) --dir=$(RUN_DIR) --binaries=$(ASSETS) --operator=$(BIN)/chat-operator \
		--namespace=$(NAMESPACE) --domain=$(DOMAIN) --samples=$(SAMPLES) --log-level=$(LOG_LEVEL) \
		$(if $(filter false,$(OPERATOR)),--control-plane-only) $(if $(filter free,$(PORTS)),--free-ports) $(PORT_FLAGS) \
		-- $(ARGS)

.PHONY: run-variables
run-variables: $(BIN)/run
	@$(BIN)/run variables 'CLUSTER=$(CLUSTER)' 'SAMPLES=$(SAMPLES)' 'OPERATOR=$(OPERATOR)' 'PORTS=$(PORTS)'

.PHONY: test
test: controlplane ## Unit tests and suites against a real API server (PACKAGES=./xmpp/... for some)
	@KUBEBUILDER_ASSETS=$(ASSETS) GO=$(GO) RACE= hack/test.sh $(PACKAGES)

.PHONY: race
race: controlplane ## The same under the race detector, which takes a C compiler, where there are goroutines (PACKAGES=./xmpp/... for some)
	@[ -n "$(RACE)" ] || { echo "No C compiler is here, which the race detector takes: nothing was run."; exit 0; }; \
		CGO_ENABLED=1 KUBEBUILDER_ASSETS=$(ASSETS) GO=$(GO) RACE="$(RACE)" RACE_PACKAGES="$(RACE_PACKAGES)" hack/test.sh $(PACKAGES)

.PHONY: e2e
ifneq ($(if $(filter current,$(CLUSTER)),,$(OLDER)),)
e2e: older
e2e: CLUSTER_FLAGS += --image=$(abspath $(BIN)/older/image.tar)
e2e: export OLDER_CHARTS = $(abspath $(BIN)/older/charts)
e2e: export OLDER_IMG = chat-operator:$(OLDER)
endif
e2e cluster-up: ARCH = $(shell $(GO) env GOARCH)
ifeq ($(CLUSTER),current)
e2e: controlplane helm-tool tools build plugin ## The chart in a real cluster of its own, as root (CLUSTER=current: in the cluster of KUBECONFIG, which has IMG; FOCUS=pattern)
else
e2e: node helm-tool image tools build plugin
endif
	@$(GO) test -c -tags cluster -o $(BIN)/cluster.test ./hack/cluster/suite
	@[ -t 1 ] || export GINKGO_NO_COLOR=TRUE; export IMG='$(IMG)' PATH="$(ASSETS):$(abspath $(BIN)):$$PATH"; cd hack/cluster/suite && \
		exec $(if $(filter current,$(CLUSTER)),,$(abspath $(BIN))/cluster run --dir=$(abspath .run-e2e) $(CLUSTER_FLAGS) --) \
		$(abspath $(BIN))/cluster.test -test.timeout=25m -ginkgo.timeout=24m -ginkgo.v $(if $(FLAKY),-ginkgo.flake-attempts=2) $(if $(FOCUS),-ginkgo.focus='$(FOCUS)')

.PHONY: older
older: ARCH = $(shell $(GO) env GOARCH)
older:
	@hack/older.sh $(OLDER) $(ARCH)

.PHONY: verify
verify: tools lint-tools helm-tool ## Everything that must hold besides the tests: generated files, formatting, modules, linters
	@GO=$(GO) MODULES="$(MODULES)" hack/verify.sh

##@ Build

.PHONY: build
build: ## The operator, into bin/
	@$(GO) build -ldflags '$(LDFLAGS)' -o $(BIN)/chat-operator .

.PHONY: plugin
plugin: ## The kubectl plugin `kubectl chat`, into bin/ (docs/kubectl-chat.md)
	@cd cmd/kubectl-chat && $(GO) build -ldflags '$(LDFLAGS)' -o ../../$(BIN)/kubectl-chat .
	@ln -sf kubectl-chat $(BIN)/kubectl_complete-chat

.PHONY: controlplane
controlplane: ## etcd, kube-apiserver, kube-controller-manager and kubectl, into bin/k8s (nothing to do with KUBEBUILDER_ASSETS)
ifndef KUBEBUILDER_ASSETS
controlplane: $(BIN)/run
	@$(BIN)/run controlplane --go=$(GO) --module=hack/controlplane --bin=$(BIN)/k8s
endif

.PHONY: node
node: $(BIN)/cluster controlplane $(BIN)/node/.containerd $(BIN)/node/.runc $(BIN)/run ## What a node has besides: kubelet, kube-proxy, kube-scheduler, containerd, runc, into bin/node
	@$(BIN)/run controlplane --go=$(GO) --module=hack/controlplane --commands=node --bin=$(BIN)/node
	@$(GO) build -trimpath -ldflags '-s -w' -o $(BIN)/node/pause ./hack/cluster/pause

# Says what the machine lacks before anything large is built.
.PHONY: $(BIN)/cluster
$(BIN)/cluster:
	@$(GO) build -trimpath -o $@ ./hack/cluster
	@$@ check

$(BIN)/node/.containerd: hack/tools/containerd/go.mod hack/tools/containerd/go.sum
	@echo "Building containerd from hack/tools/containerd (once)"
	@mkdir -p $(BIN)/node
	@cd hack/tools/containerd && $(GO) build -trimpath -o ../../../$(BIN)/node/ \
		-ldflags "-s -w -X github.com/containerd/containerd/v2/version.Version=$$($(GO) list -m -f '{{.Version}}' github.com/containerd/containerd/v2)" tool
	@touch $@

# The one C program of all: it enters the namespaces of a container before Go starts, and libseccomp makes its filters.
$(BIN)/node/.runc: hack/tools/runc/go.mod hack/tools/runc/go.sum
	@echo "Building runc from hack/tools/runc (once)"
	@mkdir -p $(BIN)/node
	@cd hack/tools/runc && CGO_ENABLED=1 $(GO) build -trimpath -tags seccomp -ldflags '-s -w' -o ../../../$(BIN)/node/ tool
	@touch $@

# Always asked for: the compiler knows best what changed, and answers at once when nothing did.
.PHONY: $(BIN)/run
$(BIN)/run:
	@$(GO) build -trimpath -o $@ ./hack/run

.PHONY: image
image: ## The container image as bin/image/chat-operator-ARCH.tar, without Docker (IMG=name:tag ARCH=arm64)
	@GOOS=linux GOARCH=$(ARCH) $(GO) build -trimpath -buildvcs=false -ldflags '-s -w $(LDFLAGS)' -o $(BIN)/image/linux-$(ARCH)/chat-operator .
	@$(GO) run ./hack/licenses --go=$(GO) --arch=$(ARCH) --output=$(BIN)/image/linux-$(ARCH)/licenses
	@cd hack/image && $(GO) build -trimpath -o ../../$(BIN)/image/write .
	@$(BIN)/image/write --binary=$(BIN)/image/linux-$(ARCH)/chat-operator --licenses=$(BIN)/image/linux-$(ARCH)/licenses --arch=$(ARCH) --tag=$(IMG) \
		--version=$(VERSION) --revision=$(REVISION) --created=$(SOURCE_DATE_EPOCH) --output=$(BIN)/image/chat-operator-$(ARCH).tar
	@echo "$(BIN)/image/chat-operator-$(ARCH).tar holds $(IMG) for $(ARCH): load it with 'ctr images import', 'kind load image-archive', 'podman load' or 'docker load'."

.PHONY: image-index
image-index: ## One image for amd64 and arm64 as bin/image/chat-operator.tar, for a registry (IMG=name:tag; docs/helm.md)
	@for arch in amd64 arm64; do \
		GOOS=linux GOARCH=$$arch $(GO) build -trimpath -buildvcs=false -ldflags '-s -w $(LDFLAGS)' -o $(BIN)/image/linux-$$arch/chat-operator .; \
		$(GO) run ./hack/licenses --go=$(GO) --arch=$$arch --output=$(BIN)/image/linux-$$arch/licenses; \
	done
	@cd hack/image && $(GO) build -trimpath -o ../../$(BIN)/image/write .
	@$(BIN)/image/write --binary=$(BIN)/image/linux-amd64/chat-operator,$(BIN)/image/linux-arm64/chat-operator --arch=amd64,arm64 --tag=$(IMG) \
		--licenses=$(BIN)/image/linux-amd64/licenses,$(BIN)/image/linux-arm64/licenses --version=$(VERSION) --revision=$(REVISION) --created=$(SOURCE_DATE_EPOCH) --output=$(BIN)/image/chat-operator.tar
	@echo "$(BIN)/image/chat-operator.tar holds $(IMG) for amd64 and arm64: bring it to a registry with 'skopeo copy --all oci-archive:FILE docker://NAME:TAG'."

.PHONY: release
release: tools helm-tool release-tools ## Programs, images, charts, manifests, SBOMs and checksums of VERSION=v1.2.3, into dist/
	@VERSION=$(VERSION) SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) GO=$(GO) MAKE=$(MAKE) hack/release.sh

.PHONY: docker-build
docker-build: ## The container image with Docker (IMG=name:tag)
	$(DOCKER) build --build-arg VERSION=$(VERSION) --tag $(IMG) .

##@ Generate

.PHONY: generate
generate: tools ## All generated files: deepcopy, custom resources, the chart's copies, reference
	@$(BIN)/controller-gen object paths=./api/...
	@$(BIN)/controller-gen crd paths=./api/... output:crd:artifacts:config=config/crd/bases
	@$(BIN)/crd-ref-docs --source-path=api --config=hack/tools/crd-ref-docs/config.yaml --templates-dir=hack/tools/crd-ref-docs \
		--renderer=markdown --output-path=docs/reference/api.md --log-level=ERROR
	@$(GO) run ./hack/reference
	@hack/chart.sh

.PHONY: tools
tools: $(BIN)/.tools ## controller-gen, kustomize, crd-ref-docs and kubeconform, into bin/
$(BIN)/.tools: hack/tools/go.mod hack/tools/go.sum
	@echo "Building the tools of hack/tools (once)"
	@mkdir -p $(BIN)
	@cd hack/tools && $(GO) build -o ../../$(BIN)/ tool
	@touch $@

.PHONY: lint-tools
lint-tools: $(BIN)/.lint-tools ## golangci-lint with kube-api-linter inside, into bin/
$(BIN)/.lint-tools: hack/tools/lint/go.mod hack/tools/lint/go.sum
	@echo "Building the linters of hack/tools/lint (once; some minutes)"
	@mkdir -p $(BIN)
	@cd hack/tools/lint && $(GO) build -o ../../../$(BIN)/ tool
	@touch $@

.PHONY: helm-tool
helm-tool: $(BIN)/.helm-tool ## Helm, into bin/
$(BIN)/.helm-tool: hack/tools/helm/go.mod hack/tools/helm/go.sum
	@echo "Building Helm from hack/tools/helm (once)"
	@mkdir -p $(BIN)
	@cd hack/tools/helm && $(GO) build -trimpath -o ../../../$(BIN)/ tool
	@touch $@

.PHONY: prometheus-tools
prometheus-tools: $(BIN)/.prometheus-tools ## Prometheus and promtool, into bin/
# Without its ways to find targets in clouds, which are most of it.
$(BIN)/.prometheus-tools: hack/tools/prometheus/go.mod hack/tools/prometheus/go.sum
	@echo "Building Prometheus from hack/tools/prometheus (once; some minutes)"
	@mkdir -p $(BIN)
	@cd hack/tools/prometheus && $(GO) build -trimpath -tags remove_all_sd -o ../../../$(BIN)/ tool
	@touch $@

.PHONY: release-tools
release-tools: $(BIN)/.release-tools ## cyclonedx-gomod, into bin/
$(BIN)/.release-tools: hack/tools/release/go.mod hack/tools/release/go.sum
	@echo "Building the tools of hack/tools/release (once)"
	@mkdir -p $(BIN)
	@cd hack/tools/release && $(GO) build -trimpath -buildvcs=false -o ../../../$(BIN)/ tool
	@touch $@

##@ Develop

.PHONY: fmt
fmt: ## gofmt everything
	@gofmt -w $$(git ls-files --cached --others --exclude-standard '*.go')

.PHONY: tidy
tidy: ## go mod tidy in every module
	@for m in $(MODULES); do (cd $$m && echo "go mod tidy: $$m" && $(GO) mod tidy); done

.PHONY: lint
lint: lint-tools ## golangci-lint with import directions and API conventions
	@hack/lint.sh

.PHONY: bench
bench: $(BIN)/run controlplane build ## The program against the machine's limit, Prosody and ejabberd: half an hour (BENCHFLAGS="-rounds 1 -n 500 -idle 5s")
	@cd hack/bench && $(GO) build -trimpath -o ../../$(BIN)/bench .
	@exec $(BIN)/bench -assets $(ASSETS) $(BENCHFLAGS)

.PHONY: test-bench
test-bench: ## Tests of the benchmark itself; with Prosody and ejabberd where they are installed
	@cd hack/bench && $(GO) test ./...

.PHONY: test-image
test-image: ## The container image for both architectures, and tests of how it is written
	@cd hack/image && $(GO) test ./...
	@$(MAKE) --no-print-directory image ARCH=amd64
	@$(MAKE) --no-print-directory image ARCH=arm64
	@$(MAKE) --no-print-directory image-index

.PHONY: test-plugin
test-plugin: ## Tests of `kubectl chat` by itself; with the program around it, hack/e2e
	@cd cmd/kubectl-chat && $(if $(RACE),CGO_ENABLED=1) $(GO) test $(RACE) ./...

.PHONY: test-charts
test-charts: tools helm-tool ## What the Helm charts render, what they refuse, and that config/ says the same
	@cd hack/charts && $(GO) test -count=1 ./...

.PHONY: test-gitops
test-gitops: controlplane ## What owners of rooms change against the engines of Flux and Argo CD
	@cd hack/gitops && KUBEBUILDER_ASSETS=$(ASSETS) $(GO) test ./...

.PHONY: test-monitoring
test-monitoring: controlplane prometheus-tools ## Alerts with promtool; metrics, alerts and dashboard with a real Prometheus that scrapes the running program
	@$(BIN)/promtool check rules charts/chat-operator/files/alerts.yaml
	@$(BIN)/promtool test rules hack/monitoring/alerts_test.yaml
	@$(GO) test ./hack/monitoring
	@KUBEBUILDER_ASSETS=$(ASSETS) PROMETHEUS_ASSETS=$(abspath $(BIN)) $(GO) test -count=1 -timeout 20m ./hack/e2e -ginkgo.focus='What the program measures'

.PHONY: microbench
microbench: ## Go benchmarks of the core's parts (BENCH=pattern)
	@$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./xmpp/...

.PHONY: fuzz
fuzz: ## Every fuzz target for FUZZTIME each
	@GO=$(GO) FUZZTIME=$(FUZZTIME) hack/fuzz.sh

.PHONY: durability
durability: ## The server is killed under load, again and again, and every acknowledged message is accounted for (ROUNDS=50)
	@XMPP_KILL_ROUNDS=$(ROUNDS) $(GO) test -count=1 -timeout 60m -run '^TestKilled$$' -v ./xmpp

.PHONY: test-clients
test-clients: $(BIN)/run controlplane build ## Stories with slixmpp, @xmpp/client and two REST clients of Openfire (needs Python, Node, Java and their package registries)
	@ASSETS=$(ASSETS) hack/clients/test.sh

.PHONY: clean
clean: ## Remove what was built (bin/ without the control plane) and the data of `make run`
	@rm -rf $(RUN_DIR) $(BIN)/chat-operator $(BIN)/kubectl-chat $(BIN)/kubectl_complete-chat $(BIN)/run

##@ A cluster to play with

.PHONY: cluster-up
cluster-up: node image helm-tool plugin ## A real cluster with one node and the image in it, on this machine, without Docker (needs root)
	@$(BIN)/cluster up --dir=$(abspath .run-cluster) $(CLUSTER_FLAGS)

.PHONY: cluster-shell
cluster-shell: ## A shell inside it, where kubectl, helm, `kubectl chat` and `make helm-install` work
	@exec $(BIN)/cluster exec --dir=$(abspath .run-cluster) $(CLUSTER_FLAGS)

.PHONY: cluster-down
cluster-down: ## Remove it
	@$(BIN)/cluster down --dir=$(abspath .run-cluster)

##@ Install

.PHONY: install
install: tools ## What belongs to the cluster (config/cluster) and the namespace, into the cluster of KUBECONFIG
	@kubectl create namespace $(NAMESPACE) --dry-run=client --output=yaml | kubectl apply --filename=-
	@$(BIN)/kustomize build config/cluster | kubectl apply --server-side --filename=-

# No overlay is meant by itself: that of somebody else's server would give this one another domain.
.PHONY: deploy
deploy: tools ## A chat server into the cluster of KUBECONFIG (OVERLAY=path of yours, made after config/example)
	@[ -n '$(OVERLAY)' ] || { echo "say OVERLAY=path, the kustomization of your server; docs/helm.md#with-kustomize says how to make one"; exit 1; }
	@$(BIN)/kustomize build '$(OVERLAY)' | kubectl apply --server-side --filename=-

.PHONY: manifests
manifests: tools helm-tool ## Lint the Helm charts, render them in their variants, build the kustomizations
	@hack/manifests.sh

.PHONY: helm-install
helm-install: helm-tool ## The Helm charts into the cluster of KUBECONFIG (DOMAIN, NAMESPACE, IMG)
	@$(BIN)/helm upgrade --install chat-operator-crds charts/chat-operator-crds --namespace chat-operator --create-namespace
	@$(BIN)/helm upgrade --install chat-operator charts/chat-operator --namespace $(NAMESPACE) --create-namespace --set domain=$(DOMAIN) \
		--set image.repository=$(IMG_REPOSITORY) --set-string image.tag=$(IMG_TAG)
