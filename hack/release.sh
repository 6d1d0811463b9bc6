#!/usr/bin/env bash
# What `make release VERSION=v1.2.3` runs: everything that a release has, into the folder dist/. It publishes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
version=${VERSION:?say VERSION=v1.2.3}
if ! [[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]]; then
  echo "VERSION=$version is no version of a release: write v1.2.3 or v1.2.3-rc.1"
  exit 1
fi
number=${version#v}
# Where the image will be pulled from; what charts and manifests name.
repository=${IMAGE_REPOSITORY:-chat-operator}
dist=dist
rm -rf "$dist"
mkdir -p "$dist"

for arch in amd64 arm64; do
  "${MAKE:-make}" --no-print-directory image ARCH="$arch" IMG="$repository:$number" VERSION="$version"
  cp "bin/image/linux-$arch/chat-operator" "$dist/chat-operator-$number-linux-$arch"
  gzip --no-name --stdout "bin/image/chat-operator-$arch.tar" >"$dist/chat-operator-$number-image-$arch.tar.gz"
  # What the program is made of, as it says itself: the modules that it was linked from, with their versions and checksums.
  bin/cyclonedx-gomod bin -json -std -version "$version" -output "$dist/chat-operator-$number-linux-$arch.cdx.json" "bin/image/linux-$arch/chat-operator"
done

# `kubectl chat`, for the machines of those who run servers. kubectl finds completion by a second name.
plugin=$(mktemp -d)
trap 'rm -rf "$plugin"' EXIT
for target in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64; do
  os=${target%/*} arch=${target#*/} suffix=
  [ "$os" != windows ] || suffix=.exe
  name=kubectl-chat-$number-$os-$arch
  rm -rf "${plugin:?}"/*
  (cd cmd/kubectl-chat && GOOS=$os GOARCH=$arch CGO_ENABLED=0 "${GO:-go}" build -trimpath -ldflags "-s -w -X main.version=$version" -o "$plugin/kubectl-chat$suffix" .)
  [ "$os" = windows ] || ln -s kubectl-chat "$plugin/kubectl_complete-chat"
  bin/cyclonedx-gomod bin -json -std -version "$version" -output "$dist/$name.cdx.json" "$plugin/kubectl-chat$suffix"
  cp LICENSE "$plugin/"
  tar --create --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --directory="$plugin" . | gzip --no-name >"$dist/$name.tar.gz"
done

# Both images under one name, for a registry.
"${MAKE:-make}" --no-print-directory image-index IMG="$repository:$number" VERSION="$version"
gzip --no-name --stdout bin/image/chat-operator.tar >"$dist/chat-operator-$number-image.tar.gz"

hack/package.sh "$dist" "$number" "$repository"

(cd "$dist" && sha256sum -- * >SHA256SUMS)
ls -l "$dist"
