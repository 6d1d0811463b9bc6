#!/usr/bin/env bash
# The same story with clients of other people: slixmpp (Python) and @xmpp/client (Node), against an instance like `make run`'s in a
# folder and on ports of its own. What is not there, or whose package registry does not answer, is skipped with a word.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$PWD/.run-clients
mkdir -p "$work"
rm -rf "$work/run"
passed=0 failed=0 skipped=0 stories=()
runner=
mapfile -t ports < <(bin/run ports)

stop() {
  if [ -n "$runner" ]; then
    kill -TERM "$runner" 2>/dev/null || true
    wait "$runner" || true
    runner=
  fi
}
trap stop EXIT

start() {
  bin/run up --dir="$work/run" --binaries="${ASSETS:-bin/k8s}" --operator=bin/chat-operator \
"${ports[@]}" >"$work/run.log" 2>&1 &
  runner=$!
  until [ -e "$work/run/env" ]; do
    kill -0 "$runner" 2>/dev/null || { cat "$work/run.log"; exit 1; }
    sleep 0.2
  done
  # shellcheck disable=SC1091
  . "$work/run/env"
  export XMPP_CA="$work/run/operator/tls.crt" NODE_EXTRA_CA_CERTS="$work/run/operator/tls.crt"
}

skip() { # WHAT WHY
  echo "skipped: $1 ($2)"
  skipped=$((skipped + 1))
}

if [ -x "${ASSETS:-bin/k8s}/kubectl" ]; then KUBECTL=${ASSETS:-bin/k8s}/kubectl; else KUBECTL=kubectl; fi
export KUBECTL

prepare_slixmpp() {
  command -v python3 >/dev/null || { skip slixmpp "no python3 here"; return; }
  if ! "$work/venv/bin/python" -c 'import slixmpp' 2>/dev/null; then
    python3 -m venv "$work/venv" >"$work/venv.log" 2>&1 || { skip slixmpp "python3 -m venv fails"; return; }
  fi
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check --requirement hack/clients/slixmpp/requirements.txt >"$work/venv.log" 2>&1 ||
    { skip slixmpp "its package cannot be installed: $(tail -1 "$work/venv.log")"; return; }
  stories+=(slixmpp)
}

prepare_xmppjs() {
  command -v npm >/dev/null || { skip "@xmpp/client" "no npm here"; return; }
  mkdir -p "$work/node"
  cp hack/clients/xmppjs/* hack/clients/xmppjs/.npmrc "$work/node/"
  (cd "$work/node" && npm ci --ignore-scripts >"$work/npm.log" 2>&1) ||
    { skip "@xmpp/client" "its packages cannot be installed: $(grep -m1 -i error "$work/npm.log" || tail -1 "$work/npm.log")"; return; }
  stories+=(xmppjs)
}

tell() { # STORY PART
  case $1 in
    slixmpp) timeout 120 "$work/venv/bin/python" hack/clients/slixmpp/story.py "$2" ;;
    xmppjs) (cd "$work/node" && timeout 120 node story.js "$2") ;;
  esac
}

prepare_slixmpp
prepare_xmppjs
if [ ${#stories[@]} -gt 0 ]; then
  declare -A bad=()
  for part in before after; do
    start # for "after": the same data, another process
    for story in "${stories[@]}"; do
      if [ -z "${bad[$story]:-}" ] && ! tell "$story" "$part"; then
        echo "failed: $story, $part the restart"
        bad[$story]=yes
      fi
    done
    [ ${#bad[@]} = 0 ] || tail -20 "$work/run/logs/chat-operator.log"
    stop
  done
  failed=${#bad[@]} passed=$((${#stories[@]} - ${#bad[@]}))
fi
echo "clients: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
