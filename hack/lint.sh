#!/usr/bin/env bash
# golangci-lint over the module. Arguments go to it: hack/lint.sh --fix, hack/lint.sh ./xmpp/...
set -euo pipefail
cd "$(dirname "$0")/.."
bin/golangci-lint-kube-api-linter config verify
exec bin/golangci-lint-kube-api-linter run "$@"
