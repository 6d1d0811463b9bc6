#!/usr/bin/env bash
# Stories told with clients of other people: slixmpp (Python) and @xmpp/client (Node) chat, openfire-restapi (Python) and rest-api-client
# (Java) manage Openfire, all against an instance like `make run`'s in a folder and on ports of its own. What is not there, or whose package registry does not answer, is skipped with a word.
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

prepare_python() { # STORY
  command -v python3 >/dev/null || { skip "$1" "no python3 here"; return; }
  if [ ! -x "$work/venv/bin/pip" ]; then
    python3 -m venv "$work/venv" >"$work/venv.log" 2>&1 || { skip "$1" "python3 -m venv fails"; return; }
  fi
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "hack/clients/$1/requirements.txt" >"$work/venv.log" 2>&1 ||
    { skip "$1" "its package cannot be installed: $(tail -1 "$work/venv.log")"; return; }
  stories+=("$1")
}

prepare_java() { # STORY
  local version
  version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p;q' || true)
  [ "${version:-0}" -ge 17 ] || { skip "$1" "no Java 17 or newer here"; return; }
  command -v mvn >/dev/null || { skip "$1" "no Maven here"; return; }
  mvn -q -B -f "hack/clients/$1/pom.xml" dependency:copy-dependencies -DoutputDirectory="$work/java" >"$work/mvn.log" 2>&1 ||
    { skip "$1" "its packages cannot be installed: $(grep -m1 ERROR "$work/mvn.log" || tail -1 "$work/mvn.log")"; return; }
  stories+=("$1")
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
    slixmpp | openfire-python) timeout 120 "$work/venv/bin/python" "hack/clients/$1/story.py" "$2" ;;
    openfire-java) timeout 120 java -cp "$work/java/*" hack/clients/openfire-java/Story.java "$2" ;;
    xmppjs) (cd "$work/node" && timeout 120 node story.js "$2") ;;
  esac
}

prepare_python slixmpp
prepare_xmppjs
prepare_python openfire-python
prepare_java openfire-java
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
