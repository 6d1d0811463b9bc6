#!/usr/bin/env bash
# What `make release VERSION=v1.2.3` runs: everything that a release has, into the folder dist/. It publishes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
version=${VERSION:?say VERSION=v1.2.3}
if ! [[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]]; then
  echo "VERSION=$version is no version of a release: write v1.2.3 or v1.2.3-rc.1"
  exit 1
fi
if [ -n "$(git status --porcelain)" ]; then
  echo "the working tree is not that of commit $(git rev-parse --short HEAD), which the release would name as its own: commit what has changed"
  exit 1
fi
number=${version#v}
# Where the image will be pulled from; what charts and manifests name.
repository=${IMAGE_REPOSITORY:-chat-operator}
# One commit always gives the same files: of one time, in one order, and with nothing of the machine in them.
export LC_ALL=C SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)} GO=${GO:-go}
dist=dist
rm -rf "$dist"
mkdir -p "$dist"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

archive() { # NAME FOLDER: what the folder has, as an archive that leaves the folder alone into which it is unpacked
  (cd "$2" && tar --create --format=ustar --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -- *) |
    gzip --no-name >"$dist/$1.tar.gz"
}

# What a program is made of, as it says itself: the modules that it was linked from, with their versions and checksums.
sbom() { # NAME OS ARCH PROGRAM
  local file=$dist/$1.cdx.json sum
  sum=$(sha256sum "$4")
  # The serial number is a UUID of version 8 (RFC 9562 §5.8), made of the program's checksum.
  GOOS=$2 GOARCH=$3 bin/cyclonedx-gomod bin -json -std -version "$version" -output "$file" \
    -serial "${sum:0:8}-${sum:8:4}-8${sum:13:3}-a${sum:17:3}-${sum:20:12}" "$4"
  sed -i "s|\"timestamp\": \"[^\"]*\"|\"timestamp\": \"$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)\"|" "$file"
}

for arch in amd64 arm64; do
  "${MAKE:-make}" --no-print-directory image ARCH="$arch" IMG="$repository:$number" VERSION="$version"
  gzip --no-name --stdout "bin/image/chat-operator-$arch.tar" >"$dist/chat-operator-$number-image-$arch.tar.gz"
  program=$scratch/linux-$arch
  mkdir "$program"
  cp "bin/image/linux-$arch/chat-operator" "bin/image/linux-$arch/licenses"/* "$program/"
  sbom "chat-operator-$number-linux-$arch" linux "$arch" "$program/chat-operator"
  archive "chat-operator-$number-linux-$arch" "$program"
done

# `kubectl chat`, for the machines of those who run servers. kubectl finds completion by a second name.
for target in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64; do
  os=${target%/*} arch=${target#*/} suffix=
  [ "$os" != windows ] || suffix=.exe
  name=kubectl-chat-$number-$os-$arch plugin=$scratch/plugin-$os-$arch
  (cd cmd/kubectl-chat && GOOS=$os GOARCH=$arch CGO_ENABLED=0 "$GO" build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$version" -o "$plugin/kubectl-chat$suffix" .)
  "$GO" run ./hack/licenses --go="$GO" --package=cmd/kubectl-chat --os="$os" --arch="$arch" --output="$plugin"
  [ "$os" = windows ] || ln -s kubectl-chat "$plugin/kubectl_complete-chat"
  sbom "$name" "$os" "$arch" "$plugin/kubectl-chat$suffix"
  archive "$name" "$plugin"
  rm -r "$plugin"
done

# Both images under one name, for a registry.
"${MAKE:-make}" --no-print-directory image-index IMG="$repository:$number" VERSION="$version"
gzip --no-name --stdout bin/image/chat-operator.tar >"$dist/chat-operator-$number-image.tar.gz"

hack/package.sh "$dist" "$number" "$repository"

(cd "$dist" && sha256sum -- * >SHA256SUMS)
ls -l "$dist"
