// Package suite installs the charts in a real cluster with Helm and uses what they bring as people do: through Services, with kubectl, an
// independent XMPP client library and REST. It knows nothing of the program's inside, and of the cluster only what KUBECONFIG says:
// `make e2e` gives it one of its own, `make e2e CLUSTER=current` that of KUBECONFIG, where IMG has to be.
//
// It is compiled with the tag cluster alone, so that tests of the repository need no cluster.
package suite
