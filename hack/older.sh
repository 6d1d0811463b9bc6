#!/usr/bin/env bash
# Builds the charts and the image of an earlier version into bin/older, for `make e2e` to upgrade from.
#   hack/older.sh TAG ARCH
set -euo pipefail
cd "$(dirname "$0")/.."
tag=$1 arch=$2 out=$PWD/bin/older
if [ "$(cat "$out/version" 2>/dev/null)" = "$tag $arch" ]; then
  exit
fi
echo "Building $tag, to upgrade from"
source=$(mktemp -d)
trap 'rm -rf "$source"' EXIT
git archive "$tag" | tar -x -C "$source"
make -C "$source" --no-print-directory image ARCH="$arch" IMG="chat-operator:$tag" VERSION="$tag" \
  REVISION="$(git rev-parse "$tag^{commit}")" SOURCE_DATE_EPOCH="$(git log -1 --format=%ct "$tag")" >/dev/null
rm -rf "$out"
mkdir -p "$out"
cp -r "$source/charts" "$out/charts"
cp "$source/bin/image/chat-operator-$arch.tar" "$out/image.tar"
echo "$tag $arch" >"$out/version"
