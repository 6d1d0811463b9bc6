package restserver

import (
	"net/http"

	"github.com/chat-operator/chat-operator/restserver/entity"
)

// One process serves a domain: there is no cluster in the sense of the original.

// getClusteringStatus is GET /clustering/status.
func getClusteringStatus(*call) (answer, error) { return ok(entity.Clustering{Status: "Disabled"}) }

// listClusterNodes is GET /clustering/nodes: as in the original, a process that is in no cluster lists none.
func listClusterNodes(c *call) (answer, error) {
	return listOf(c, nil, func(part []entity.ClusterNode) entity.Entity { return entity.ClusterNodes(part) })
}

// getClusterNode is GET /clustering/nodes/{id}.
func getClusterNode(c *call) (answer, error) {
	return answer{}, problem(http.StatusNotFound, clusterNodeNotFound, "Could not find a cluster node with this NodeID.", c.params["id"])
}
