package entity

import "time"

// Clustering tells what part this process has in a cluster: root "clustering".
type Clustering struct{ Status string }

func (c Clustering) writeXML(w *xmlWriter) {
	w.start("clustering")
	w.text("status", c.Status)
	w.end("clustering")
}

func (c Clustering) writeJSON(w *jsonWriter) {
	w.begin('{')
	w.text("status", c.Status)
	w.end('}')
}

// ClusterNode is a process of a cluster: root "clusterNode".
type ClusterNode struct {
	HostName string
	NodeID   string
	Joined   time.Time
	Senior   bool
}

func (n ClusterNode) writeXML(w *xmlWriter) {
	w.start("clusterNode")
	w.text("hostName", n.HostName)
	w.date("joinedTime", n.Joined)
	w.text("nodeID", n.NodeID)
	w.boolean("seniorMember", n.Senior)
	w.end("clusterNode")
}

func (n ClusterNode) writeJSON(w *jsonWriter) {
	w.begin('{')
	w.text("hostName", n.HostName)
	w.text("nodeID", n.NodeID)
	w.date("joinedTime", n.Joined)
	w.boolean("seniorMember", n.Senior)
	w.end('}')
}

// ClusterNodes is a list of processes: root "clusterNodes".
type ClusterNodes []ClusterNode

func (l ClusterNodes) writeXML(w *xmlWriter) { xmlList(w, "clusterNodes", l) }

func (l ClusterNodes) writeJSON(w *jsonWriter) { jsonList(w, "clusterNodes", l) }
