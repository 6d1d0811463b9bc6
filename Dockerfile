# The operator as one static binary on an empty root. Built on the machine's own platform for the target's.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS TARGETARCH VERSION=unknown
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY *.go LICENSE ./
COPY api api
COPY controllers controllers
COPY restserver restserver
COPY xmpp xmpp
COPY hack/licenses hack/licenses
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /chat-operator . && \
    go run ./hack/licenses --os=$TARGETOS --arch=$TARGETARCH --output=/licenses

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /licenses /licenses
COPY --from=build /chat-operator /chat-operator
# Any user but root will do; this is the one that the manifests name.
USER 65532:65532
EXPOSE 5222 5223 8080 8081 9090 9091
ENTRYPOINT ["/chat-operator"]
