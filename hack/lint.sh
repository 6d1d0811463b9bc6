#!/usr/bin/env bash
# golangci-lint over the module and over the plugin's. Arguments go to it: hack/lint.sh --fix, hack/lint.sh ./xmpp/... for that alone.
set -euo pipefail
cd "$(dirname "$0")/.."
linter=$PWD/bin/golangci-lint-kube-api-linter
plugin=cmd/kubectl-chat
"$linter" config verify
case " $* " in
*" ./$plugin"*) (cd "$plugin" && exec "$linter" run --config ../../.golangci.yml) ;;
*" ./"*) exec "$linter" run "$@" ;;
*)
  "$linter" run "$@"
  cd "$plugin" && exec "$linter" run --config ../../.golangci.yml "$@"
  ;;
esac
