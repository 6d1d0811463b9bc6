package suite

// Pages are those whose blocks that need a cluster are run here, in this order. hack/docs holds the documentation to this list.
var Pages = []string{
	"docs/getting-started.md",
	"docs/rest.md",
	"docs/troubleshooting.md",
	"docs/monitoring.md",
	"docs/failure-modes.md",
	"docs/gitops.md",
	"docs/tls.md",
	"docs/upgrade.md",
	"docs/backup.md",
	"docs/helm.md",
}
