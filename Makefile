# Every target has a help line; `make` alone prints them.
SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help

# One set of flags for every build, so that they share one build cache: ko
# builds with -trimpath and without cgo, and a build that differs in either
# compiles Kubernetes again.
export CGO_ENABLED := 0
export GOFLAGS := -trimpath -buildvcs=false
CACHE := $(or $(REVET_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/revet)
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w -X github.com/revet-dev/revet/pkg/version.release=$(VERSION)
GOLANGCI_LINT_VERSION := v2.13.0
LINT := $(CACHE)/bin/golangci-lint-$(GOLANGCI_LINT_VERSION)
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.8.0
CLUSTER := cd test && go run ./cmd/cluster
BENCHTIME ?= 300x
FUZZTIME ?= 30s
PUSHES ?= 1000
RATE ?= 10
SEEDS ?= 1
SEED ?= 1
STACKS ?= 300
FAULTS ?= all
PLAY ?= random
LIMIT ?= 2m
TESTFLAGS ?=
GATEBENCH ?=
TENANTS ?=

.PHONY: help
help: ## print this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build receiver, controller, step, scan and kubectl-revet into bin/
	go build -ldflags='$(LDFLAGS)' -o bin/ ./cmd/...
	cd cmd/scan && go build -ldflags='$(LDFLAGS)' -o ../../bin/ .

.PHONY: check
check: $(LINT) ## the quick loop: format, vet, lint and unit tests of the product (under a minute once it is warm)
	@unformatted=$$($(LINT) fmt --diff ./cmd ./pkg ./triggers) || { echo "$$unformatted"; echo 'Run "make format".'; exit 1; }
	go vet ./...
	$(LINT) run ./...
	go test $(TESTFLAGS) ./...

.PHONY: format
format: $(LINT) ## format every Go file as "make check" and "make lint" want it
	$(LINT) fmt ./...

# What runs against clusters waits most of the time, and the rest computes: both at once.
# Vet looks at everything, so that no "go test" does again what is part of it.
.PHONY: test
test: ## vet and test everything that needs neither root nor a node (a real API server included)
	@$(MAKE) --no-print-directory --jobs=2 test-clusters test-rest

.PHONY: test-clusters
test-clusters:
	cd test && go test -vet=off -p 4 -timeout 25m $(TESTFLAGS) ./integration ./gate ./triggers ./chaos ./... # the longest first

.PHONY: test-rest
test-rest:
	go vet ./...
	go test -vet=off $(TESTFLAGS) ./...
	cd cmd/scan && go vet ./... && go test -vet=off $(TESTFLAGS) ./...
	cd test/platforms && go vet ./... && go test -vet=off $(TESTFLAGS) ./...
	cd test/layers && go vet .
	cd test && go vet ./... && go vet -tags bench ./bench

.PHONY: e2e
e2e: ## test on a real single-node cluster, all as Pods (Linux, root)
	cd test && go vet -tags e2e ./e2e/... ./cluster/node/... && go test -tags e2e -count=1 -timeout 60m -v -p 1 ./e2e/... ./cluster/node/e2e/...

.PHONY: demo
demo: ## bring a cluster up, push a good and a bad image, show both verified, take it down
	@echo "Compiling the cluster command; this says nothing for a minute or two the first time."
	@$(CLUSTER) demo

.PHONY: up
up: ## bring the local cluster up with Knative, Tekton and Revet, and leave it running
	@echo "Compiling the cluster command; this says nothing for a minute or two the first time."
	@$(CLUSTER) up

.PHONY: down
down: ## take the local cluster down
	@$(CLUSTER) down

.PHONY: layers
layers: ## compare how layers are read with containerd and containers/storage themselves (Linux, root)
	cd test/layers && go vet . && go test -count=1 -timeout 30m -v . -random $(STACKS) -seed $(SEED)

.PHONY: rootfs
rootfs: ## hold what the scanner says of real file systems and layers against expectations (Debian, root)
	cd test && go vet -tags rootfs ./rootfs && go test -tags rootfs -count=1 -timeout 60m -v ./rootfs

.PHONY: bench
bench: ## measure push-to-run beside a direct EventListener, and the receiver's cost of ignored events
	go test -run '^$$' -bench . -benchmem ./pkg/...
	cd test && go test -tags bench -run '^$$' -bench . -benchtime $(BENCHTIME) -timeout 30m ./bench

.PHONY: bench-gate
bench-gate: ## measure what a gate costs, with the flags GATEBENCH: creating Pods, from a verdict to admission, growth of etcd and API server
	cd test && go run ./cmd/gatebench $(GATEBENCH)

.PHONY: tenants
tenants: ## measure what one tenant costs the others, with the flags TENANTS: a victim's pushes alone, and under each attack
	cd test && go run ./cmd/tenants $(TENANTS)

.PHONY: chaos
chaos: ## push PUSHES images, RATE a second, for each of SEEDS while FAULTS happen; report what was lost or doubled, beside a direct EventListener; with PLAY=gate, turn so many verdicts behind a gate
	cd test && go run ./cmd/chaos -pushes $(PUSHES) -rate $(RATE) -seeds "$(SEEDS)" -faults "$(FAULTS)" -play $(PLAY) -limit $(LIMIT)

.PHONY: fuzz
fuzz: ## fuzz every decoder and the promise itself, FUZZTIME each (default 30s)
	@for f in $$(grep -rlE '^func Fuzz' --include='*_test.go' pkg); do for t in $$(grep -oE '^func Fuzz[A-Za-z]+' $$f | cut -c6-); do \
	  echo "== $$(dirname $$f) $$t"; go test -run '^$$' -fuzz "^$$t\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x ./$$(dirname $$f) || exit 1; done; done
	@cd test && for t in $$(grep -hoE '^func Fuzz[A-Za-z]+' model/*_test.go | cut -c6-); do \
	  echo "== test/model $$t"; go test -run '^$$' -fuzz "^$$t\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x ./model || exit 1; done

# Built once for each version, and not by "go run", which links it each time.
$(LINT):
	mkdir -p $(CACHE)/bin && GOBIN=$(CACHE)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv $(CACHE)/bin/golangci-lint $@

.PHONY: lint
lint: $(LINT) ## golangci-lint over every module, and module tidiness
	$(LINT) run ./...
	cd cmd/scan && $(LINT) run --config ../../.golangci.yml ./...
	cd test/layers && $(LINT) run --config ../../.golangci.yml ./...
	cd test/platforms && $(LINT) run --config ../../.golangci.yml ./...
	cd test && $(LINT) run --config ../.golangci.yml ./...
	go mod tidy -diff && (cd cmd/scan && go mod tidy -diff) && (cd test/layers && go mod tidy -diff) && (cd test/platforms && go mod tidy -diff) && cd test && go mod tidy -diff

.PHONY: thirdparty
thirdparty: ## build the modules that hold other projects' programs: gVisor, and the image builder, Helm and kube-router of e2e tests; have cosign verify what the attestor signs
	cd test/build && go vet ./... && go build -o /dev/null github.com/GoogleContainerTools/kaniko/cmd/executor
	cd test/helm && go vet ./... && go build -o /dev/null helm.sh/helm/v4/cmd/helm
	cd test/interop && go vet ./...
	cd test/netpol && go vet ./... && go build -o /dev/null github.com/cloudnativelabs/kube-router/v2/cmd/kube-router
	cd test && go vet -tags interop ./integration && go test -vet=off -tags interop -count=1 -timeout 20m -run 'Cosign|PublishedPolicy' -v ./integration
	cd test/gvisor && go vet ./shim && go build -o /dev/null ./shim && go build -o /dev/null gvisor.dev/gvisor/runsc

.PHONY: vulncheck
vulncheck: ## govulncheck over the product and its scanner (asks vuln.go.dev)
	go run $(GOVULNCHECK) ./...
	cd cmd/scan && go run $(GOVULNCHECK) ./...

.PHONY: generate
generate: ## generate deep copies, CustomResourceDefinitions and docs/api.md from the Go types
	cd test && go build -o ../bin/controller-gen sigs.k8s.io/controller-tools/cmd/controller-gen
	bin/controller-gen object crd:maxDescLen=300 paths=./pkg/apis/... output:crd:dir=bin/crds
	mv bin/crds/revet.dev_imagetriggers.yaml config/300-imagetrigger.yaml
	mv bin/crds/revet.dev_imageverifications.yaml config/300-imageverification.yaml
	mv bin/crds/revet.dev_imagegates.yaml config/300-imagegate.yaml
	mv bin/crds/revet.dev_verifiedimages.yaml config/300-verifiedimages.yaml
	cd test && go run ./cmd/apidoc ../pkg/apis/revet/v1alpha1 > ../bin/api.md
	mv bin/api.md docs/api.md
