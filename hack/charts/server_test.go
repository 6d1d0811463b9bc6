package charts

import (
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// What holds for every installation, whatever its values.
func TestEveryVariant(t *testing.T) {
	for _, values := range variants(t) {
		t.Run(filepath.Base(values), func(t *testing.T) {
			list := renderFile(t, values)
			seen := map[string]bool{}
			for _, o := range list {
				kind, namespace, name := describe(t, o)
				if seen[kind+"/"+name] {
					t.Errorf("%s %q is there twice", kind, name)
				}
				seen[kind+"/"+name] = true
				if namespace != "" {
					t.Errorf("%s %q names the namespace %q instead of going where the release goes", kind, name, namespace)
				}
				// Render-only tools would change what a template makes up at each run. Secrets are the operator's to make.
				if kind == "Secret" {
					t.Errorf("the chart makes the Secret %q", name)
				}
			}
			if n := count[*policyv1.PodDisruptionBudget](list); n != 0 {
				t.Errorf("%d budgets for one Pod, which would keep its node from being drained", n)
			}
			again := renderFile(t, values)
			if !reflect.DeepEqual(list, again) {
				t.Error("rendered again, it is something else")
			}
			set := get[*appsv1.StatefulSet](t, list, "chat-operator")
			checkRestricted(t, set.Spec.Template.ObjectMeta, set.Spec.Template.Spec)
			checkSelected(t, list, set)
			checkVolumes(t, set)
			if policy := set.Spec.Template.Spec.Containers[0].TerminationMessagePolicy; policy != corev1.TerminationMessageFallbackToLogsOnError {
				t.Errorf("why it ended is only in its log: %s", policy)
			}
		})
	}
}

// checkRestricted asks Pod Security whether a namespace of its strictest level would take a Pod.
func checkRestricted(t *testing.T, m metav1.ObjectMeta, spec corev1.PodSpec) {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(level, &m, &spec) {
		if !result.Allowed {
			t.Errorf("Pod Security restricted: %s: %s", result.ForbiddenReason, result.ForbiddenDetail)
		}
	}
	for _, c := range spec.Containers {
		if c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
			t.Errorf("the root of container %s can be written to", c.Name)
		}
	}
}

// checkSelected makes sure that Services lead to the server's Pod and to ports that it has, and nowhere else.
func checkSelected(t *testing.T, list objects, set *appsv1.StatefulSet) {
	t.Helper()
	labels := set.Spec.Template.Labels
	var ports []string
	for _, p := range set.Spec.Template.Spec.Containers[0].Ports {
		ports = append(ports, p.Name)
	}
	selects := func(what string, selector map[string]string, labels map[string]string) bool {
		if len(selector) == 0 {
			t.Errorf("%s selects every Pod", what)
		}
		for key, value := range selector {
			if labels[key] != value {
				return false
			}
		}
		return true
	}
	if !selects("the StatefulSet", set.Spec.Selector.MatchLabels, labels) {
		t.Error("the StatefulSet does not select its own Pods")
	}
	get[*corev1.Service](t, list, set.Spec.ServiceName)
	for _, o := range list {
		switch o := o.(type) {
		case *corev1.Service:
			if !selects("Service "+o.Name, o.Spec.Selector, labels) {
				t.Errorf("Service %s does not lead to the server", o.Name)
			}
			for _, p := range o.Spec.Ports {
				if !slices.Contains(ports, p.TargetPort.StrVal) {
					t.Errorf("Service %s: the Pod has no port %q", o.Name, p.TargetPort.StrVal)
				}
			}
		case *networkingv1.NetworkPolicy:
			if !selects("the NetworkPolicy", o.Spec.PodSelector.MatchLabels, labels) {
				t.Error("the NetworkPolicy is not for the server")
			}
		case *corev1.Pod:
			if selects("the Service", set.Spec.Selector.MatchLabels, o.Labels) {
				t.Errorf("clients would be sent to Pod %s", o.Name)
			}
		}
	}
}

// checkVolumes makes sure that what is mounted is there, once.
func checkVolumes(t *testing.T, set *appsv1.StatefulSet) {
	t.Helper()
	var names []string
	for _, v := range set.Spec.Template.Spec.Volumes {
		names = append(names, v.Name)
	}
	for _, c := range set.Spec.VolumeClaimTemplates {
		names = append(names, c.Name)
		for key := range c.Labels {
			if strings.HasPrefix(key, "helm.sh/") || key == "app.kubernetes.io/version" {
				t.Errorf("the template of claim %s has the label %s: it could never be upgraded", c.Name, key)
			}
		}
	}
	var mounted []string
	for _, m := range set.Spec.Template.Spec.Containers[0].VolumeMounts {
		mounted = append(mounted, m.Name)
	}
	slices.Sort(names)
	slices.Sort(mounted)
	if !slices.Equal(names, mounted) {
		t.Errorf("volumes %v, mounted %v", names, mounted)
	}
}

// Two chat servers beside each other, each in its namespace, have nothing of the cluster in common.
func TestNothingIsTheClusters(t *testing.T) {
	namespaced := render(t)
	for _, o := range namespaced {
		if kind, _, name := describe(t, o); strings.HasPrefix(kind, "Cluster") || kind == "CustomResourceDefinition" {
			t.Errorf("%s %q belongs to the cluster", kind, name)
		}
	}
	clusters := func(namespace string) (names []string) {
		out, err := template(chart, "chat", namespace, "--set", "domain=chat.example,management.kubernetesTokens=true")
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range decode(t, out) {
			if binding, ok := o.(*rbacv1.ClusterRoleBinding); ok {
				names = append(names, binding.Name)
				if binding.RoleRef.Name != "system:auth-delegator" || len(binding.Subjects) != 1 || binding.Subjects[0].Namespace != namespace {
					t.Errorf("%+v", binding)
				}
			}
		}
		return names
	}
	one, other := clusters("one"), clusters("other")
	if len(one) != 1 || len(other) != 1 || one[0] == other[0] {
		t.Errorf("bindings for tokens: %v and %v", one, other)
	}
}

func args(set *appsv1.StatefulSet) []string { return set.Spec.Template.Spec.Containers[0].Args }

func TestData(t *testing.T) {
	set := get[*appsv1.StatefulSet](t, render(t), "chat-operator")
	if *set.Spec.Replicas != 1 || set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement {
		t.Errorf("%+v", set.Spec)
	}
	retain := &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
		WhenDeleted: appsv1.RetainPersistentVolumeClaimRetentionPolicyType, WhenScaled: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
	}
	if !reflect.DeepEqual(set.Spec.PersistentVolumeClaimRetentionPolicy, retain) {
		t.Errorf("the data goes with the release: %+v", set.Spec.PersistentVolumeClaimRetentionPolicy)
	}
	if claims := set.Spec.VolumeClaimTemplates; len(claims) != 1 || claims[0].Spec.StorageClassName != nil || claims[0].Spec.Resources.Requests.Storage().String() != "5Gi" {
		t.Errorf("%+v", claims)
	}
	set = get[*appsv1.StatefulSet](t, render(t, "persistence.whenDeleted=Delete,persistence.storageClass=fast,persistence.size=1Ti"), "chat-operator")
	if set.Spec.PersistentVolumeClaimRetentionPolicy.WhenDeleted != appsv1.DeletePersistentVolumeClaimRetentionPolicyType {
		t.Errorf("%+v", set.Spec.PersistentVolumeClaimRetentionPolicy)
	}
	if claim := set.Spec.VolumeClaimTemplates[0].Spec; *claim.StorageClassName != "fast" || claim.Resources.Requests.Storage().String() != "1Ti" {
		t.Errorf("%+v", claim)
	}
	for values, want := range map[string]corev1.VolumeSource{
		"persistence.existingClaim=mine": {PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "mine"}},
		"persistence.enabled=false":      {EmptyDir: &corev1.EmptyDirVolumeSource{}},
	} {
		set = get[*appsv1.StatefulSet](t, render(t, values), "chat-operator")
		if len(set.Spec.VolumeClaimTemplates) != 0 || set.Spec.PersistentVolumeClaimRetentionPolicy != nil ||
			!slices.ContainsFunc(set.Spec.Template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == "data" && reflect.DeepEqual(v.VolumeSource, want) }) {
			t.Errorf("%s: %+v", values, set.Spec.Template.Spec.Volumes)
		}
	}
}

func TestCertificates(t *testing.T) {
	mounted := func(list objects) string {
		set := get[*appsv1.StatefulSet](t, list, "chat-operator")
		given := slices.Contains(args(set), "--tls-cert-file=/tls/tls.crt") && slices.Contains(args(set), "--tls-key-file=/tls/tls.key")
		for _, v := range set.Spec.Template.Spec.Volumes {
			if v.Name == "tls" && given {
				return v.Secret.SecretName
			}
		}
		if given || strings.Contains(strings.Join(args(set), " "), "--tls-") {
			t.Errorf("the program is told of a certificate that it has not: %v", args(set))
		}
		return ""
	}
	list := render(t)
	if got := mounted(list); got != "" || count[*certmanagerv1.Certificate](list) != 0 {
		t.Errorf("self-signed: %q", got)
	}
	list = render(t, "tls.source=secret,tls.secretName=mine")
	if got := mounted(list); got != "mine" || count[*certmanagerv1.Certificate](list) != 0 {
		t.Errorf("secret: %q", got)
	}
	list = render(t, "tls.source=certManager,tls.certManager.issuerRef.name=public,tls.certManager.dnsNames={rest.chat.example,chat.example}")
	certificate := get[*certmanagerv1.Certificate](t, list, "chat-operator")
	if got := mounted(list); got != "chat-operator-tls" || got != certificate.Spec.SecretName {
		t.Errorf("cert-manager: %q and %q", got, certificate.Spec.SecretName)
	}
	if want := []string{"chat.example", "rest.chat.example"}; !slices.Equal(certificate.Spec.DNSNames, want) {
		t.Errorf("names %v", certificate.Spec.DNSNames)
	}
	// A certificate can be ordered while the server has another one.
	for values, secret := range map[string]string{"tls.certManager.issuerRef.name=public": "", "tls.source=secret,tls.secretName=mine,tls.certManager.issuerRef.name=public": "mine"} {
		list = render(t, values)
		if got, ordered := mounted(list), get[*certmanagerv1.Certificate](t, list, "chat-operator"); got != secret || ordered.Spec.SecretName != "chat-operator-tls" {
			t.Errorf("%s: the server has %q, cert-manager fills %q", values, got, ordered.Spec.SecretName)
		}
	}
	if issuer := certificate.Spec.IssuerRef; issuer.Name != "public" || issuer.Kind != "Issuer" || issuer.Group != "cert-manager.io" {
		t.Errorf("%+v", issuer)
	}
}

func TestManagement(t *testing.T) {
	names := func(list objects) (ports []string) {
		for _, p := range get[*corev1.Service](t, list, "chat-operator-management").Spec.Ports {
			ports = append(ports, p.Name)
		}
		return ports
	}
	list := render(t)
	if got := names(list); !slices.Equal(got, []string{"rest", "rest-tls", "metrics"}) {
		t.Errorf("%v", got)
	}
	list = render(t, "management.http=false")
	if got := names(list); !slices.Equal(got, []string{"rest-tls", "metrics"}) {
		t.Errorf("%v", got)
	}
	if set := get[*appsv1.StatefulSet](t, list, "chat-operator"); !slices.Contains(args(set), "--rest-bind-address=0") {
		t.Errorf("%v", args(set))
	}
	set := get[*appsv1.StatefulSet](t, render(t, "management.trustedProxies={10.0.0.0/8,::1}", "management.tlsTrustedProxies={10.1.0.0/16,198.51.100.7}", "service.trustedProxies={192.0.2.1}", "extraArgs={--pprof-bind-address=127.0.0.1:6060}"), "chat-operator")
	for _, want := range []string{"--rest-trusted-proxies=10.0.0.0/8,::1", "--rest-tls-trusted-proxies=10.1.0.0/16,198.51.100.7", "--xmpp-trusted-proxies=192.0.2.1", "--pprof-bind-address=127.0.0.1:6060", "--domain=chat.example"} {
		if !slices.Contains(args(set), want) {
			t.Errorf("no %s in %v", want, args(set))
		}
	}
}

// Fields of a Service that go with its type are not given with another, which the API server refuses.
func TestServiceFieldsGoWithTheType(t *testing.T) {
	const all = "service.loadBalancerClass=a.example/b,service.loadBalancerSourceRanges={192.0.2.0/24},service.externalTrafficPolicy=Local,service.type="
	for kind, want := range map[corev1.ServiceType][2]bool{
		corev1.ServiceTypeClusterIP: {false, false}, corev1.ServiceTypeNodePort: {false, true}, corev1.ServiceTypeLoadBalancer: {true, true},
	} {
		spec := get[*corev1.Service](t, render(t, all+string(kind)), "chat-operator").Spec
		if (spec.LoadBalancerClass != nil) != want[0] || (len(spec.LoadBalancerSourceRanges) != 0) != want[0] || (spec.ExternalTrafficPolicy != "") != want[1] {
			t.Errorf("%s: %+v", kind, spec)
		}
	}
}

// Ports of nodes are those that somebody chose, where the Service has any.
func TestNodePorts(t *testing.T) {
	for values, want := range map[string][2]int32{
		"service.type=ClusterIP": {0, 0}, "service.type=NodePort": {0, 0},
		"service.type=NodePort,service.xmppNodePort=30522,service.xmppsNodePort=30523": {30522, 30523},
		"service.type=LoadBalancer,service.xmppsNodePort=30523":                        {0, 30523},
	} {
		ports := get[*corev1.Service](t, render(t, values), "chat-operator").Spec.Ports
		if ports[0].Name != "xmpp-client" || ports[0].NodePort != want[0] || ports[1].Name != "xmpps-client" || ports[1].NodePort != want[1] {
			t.Errorf("%s: %+v", values, ports)
		}
	}
}

// The program is told of a limit that there is; without one, the API server would tell it of the whole node.
func TestMemoryLimit(t *testing.T) {
	told := func(values string) *corev1.ResourceFieldSelector {
		for _, e := range get[*appsv1.StatefulSet](t, render(t, values), "chat-operator").Spec.Template.Spec.Containers[0].Env {
			if e.Name == "MEMORY_LIMIT_BYTES" {
				return e.ValueFrom.ResourceFieldRef
			}
		}
		return nil
	}
	if ref := told("logLevel=info"); ref == nil || ref.Resource != "limits.memory" || ref.Divisor.Value() != 1 {
		t.Errorf("%+v", ref)
	}
	for _, values := range []string{"resources.limits.memory=null", "resources.limits=null", "resources=null"} {
		if ref := told(values); ref != nil {
			t.Errorf("%s: %+v", values, ref)
		}
	}
}

// Where the cluster chooses who runs a Pod, the chart leaves that open.
func TestPodSecurityContext(t *testing.T) {
	list := render(t, "podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null,podSecurityContext.fsGroup=null")
	set, pod := get[*appsv1.StatefulSet](t, list, "chat-operator"), get[*corev1.Pod](t, list, "chat-operator-helm-test")
	checkRestricted(t, set.Spec.Template.ObjectMeta, set.Spec.Template.Spec)
	checkRestricted(t, pod.ObjectMeta, pod.Spec)
	for _, c := range []*corev1.PodSecurityContext{set.Spec.Template.Spec.SecurityContext, pod.Spec.SecurityContext} {
		if c.RunAsUser != nil || c.RunAsGroup != nil || c.FSGroup != nil {
			t.Errorf("%+v", c)
		}
	}
}

// An autoscaler may move the Pod when nothing but /tmp is on the node.
func TestAutoscaler(t *testing.T) {
	for _, values := range []string{"persistence.enabled=true", "persistence.enabled=false"} {
		set := get[*appsv1.StatefulSet](t, render(t, values), "chat-operator")
		if got := set.Spec.Template.Annotations["cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"]; got != "tmp" {
			t.Errorf("%s: %q", values, got)
		}
	}
}

// The notes let somebody in: by a user of the release whose password is made, else by one that they say how to declare.
func TestNotes(t *testing.T) {
	for values, want := range map[string]struct {
		user     string
		declared bool
	}{
		"logLevel=info": {"mira", false},
		"users[0].name=jose-x,users[0].spec.username=josé,users[1].name=tobias": {"tobias", true},
		"users[0].name=tobias,users[0].spec.credentials.secretRef.name=a":       {"mira", false},
		"users[0].name=mira,users[0].spec.credentials.secretRef.name=a":         {"first-user", false},
		"users[0].name=mira,users[0].spec.displayName=Mira":                     {"mira", true},
	} {
		out, err := exec.Command(filepath.Join(root, "bin", "helm"), "install", "chat", chart, "--namespace", "chat", "--dry-run=client",
			"--set", "domain=chat.example", "--set", values).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		_, notes, _ := strings.Cut(string(out), "\nNOTES:\n")
		if !strings.Contains(notes, "log in as "+want.user+"@chat.example ") || !strings.Contains(notes, "chatuser/"+want.user+"\n") ||
			strings.Contains(notes, "\n   kind: ChatUser\n") == want.declared || strings.Contains(notes, "    name: "+want.user) == want.declared {
			t.Errorf("%s: %s", values, notes)
		}
	}
}

func TestRoutes(t *testing.T) {
	list := render(t)
	if count[*networkingv1.Ingress](list)+count[*gatewayv1.HTTPRoute](list)+count[*gatewayv1.TLSRoute](list)+count[*networkingv1.NetworkPolicy](list) != 0 {
		t.Error("something is opened or closed that nobody asked for")
	}
	list = renderFile(t, chart+"/ci/everything-values.yaml")
	backend := get[*networkingv1.Ingress](t, list, "chat-operator").Spec.Rules[0].HTTP.Paths[0].Backend.Service
	if backend.Name != "chat-operator-management" || backend.Port.Name != "rest" {
		t.Errorf("%+v", backend)
	}
	list = renderFile(t, chart+"/ci/cert-manager-values.yaml")
	for name, want := range map[string]struct {
		service string
		port    gatewayv1.PortNumber
		host    gatewayv1.Hostname
	}{
		"chat-operator-rest":  {"chat-operator-management", 9091, "direct.chat.example"},
		"chat-operator-xmpps": {"chat-operator", 5223, "chat.example"},
	} {
		route := get[*gatewayv1.TLSRoute](t, list, name).Spec
		to := route.Rules[0].BackendRefs[0]
		if string(to.Name) != want.service || *to.Port != want.port || !slices.Equal(route.Hostnames, []gatewayv1.Hostname{want.host}) {
			t.Errorf("%s: %+v", name, route)
		}
	}
	rest := get[*gatewayv1.HTTPRoute](t, list, "chat-operator-rest").Spec
	if to := rest.Rules[0].BackendRefs[0]; string(to.Name) != "chat-operator-management" || *to.Port != 9090 || *rest.ParentRefs[0].SectionName != "https" {
		t.Errorf("%+v", rest)
	}
	for _, version := range []string{"v1alpha3", "v1alpha2"} {
		out, err := template(chart, "chat", "chat", "--values", chart+"/ci/cert-manager-values.yaml", "--set", "gateway.tlsRouteVersion="+version)
		if err != nil || !strings.Contains(string(out), "apiVersion: gateway.networking.k8s.io/"+version+"\nkind: TLSRoute\n") {
			t.Errorf("%s: %v", version, err)
		}
		decode(t, out)
	}
}

func TestNetworkPolicy(t *testing.T) {
	spec := get[*networkingv1.NetworkPolicy](t, render(t, "networkPolicy.enabled=true"), "chat-operator").Spec
	own := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}}
	for port, want := range map[string][]networkingv1.NetworkPolicyPeer{"xmpp": nil, "xmpps": nil, "rest": {own}, "rest-tls": {own}, "metrics": {own}, "health": nil} {
		i := slices.IndexFunc(spec.Ingress, func(r networkingv1.NetworkPolicyIngressRule) bool {
			return slices.ContainsFunc(r.Ports, func(p networkingv1.NetworkPolicyPort) bool { return *p.Port == intstr.FromString(port) })
		})
		if i < 0 || !reflect.DeepEqual(spec.Ingress[i].From, want) {
			t.Errorf("%s: rule %d of %+v", port, i, spec.Ingress)
		}
	}
	// Where the name service and the API server are is for whoever knows the cluster to say.
	if len(spec.Egress) != 2 || spec.Egress[0].To != nil || spec.Egress[1].To != nil {
		t.Errorf("%+v", spec.Egress)
	}
	spec = get[*networkingv1.NetworkPolicy](t, renderFile(t, chart+"/ci/everything-values.yaml"), "chat-operator").Spec
	if len(spec.Ingress[1].From) != 2 || len(spec.Ingress[2].From) != 2 || spec.Egress[1].Ports[0].Port.IntVal != 6443 {
		t.Errorf("%+v", spec)
	}
	dns, server := spec.Egress[0].To, spec.Egress[1].To
	if len(dns) != 1 || dns[0].PodSelector.MatchLabels["k8s-app"] != "kube-dns" || len(server) != 1 || server[0].IPBlock.CIDR != "192.0.2.10/32" {
		t.Errorf("%+v", spec.Egress)
	}
}

func TestDeclared(t *testing.T) {
	list := renderFile(t, chart+"/ci/everything-values.yaml")
	mira := get[*v1alpha1.ChatUser](t, list, "mira")
	if mira.Labels["team"] != "night-shift" || mira.Annotations["note"] != "on call" || mira.Labels["app.kubernetes.io/managed-by"] != "Helm" ||
		mira.Spec.Admin == nil || !*mira.Spec.Admin || mira.Labels["helm.sh/chart"] != "" {
		t.Errorf("%+v", mira)
	}
	get[*v1alpha1.ChatUser](t, list, "tobias")
	for resource, chat := range map[string]string{"jose-x": "josé"} {
		if got := get[*v1alpha1.ChatUser](t, list, resource).Spec.Username; got == nil || *got != chat {
			t.Errorf("%s is %v", resource, got)
		}
	}
	if got := get[*v1alpha1.ChatGroup](t, list, "night-shift").Spec.GroupName; got == nil || *got != "Night Shift" {
		t.Errorf("%v", got)
	}
	get[*v1alpha1.ChatRoom](t, list, "lobby")
	if got := get[*v1alpha1.SystemProperty](t, list, "purge-delay").Spec.Key; got == nil || *got != "accounts.purgeDelay" {
		t.Errorf("%v", got)
	}
}

// The account and the Pod of `helm test` are there only while it runs.
func TestHelmTest(t *testing.T) {
	list := render(t)
	pod, user := get[*corev1.Pod](t, list, "chat-operator-helm-test"), get[*v1alpha1.ChatUser](t, list, "chat-operator-helm-test")
	for _, o := range []metav1.ObjectMeta{pod.ObjectMeta, user.ObjectMeta} {
		if o.Annotations["helm.sh/hook"] != "test" || !strings.Contains(o.Annotations["helm.sh/hook-delete-policy"], "before-hook-creation") {
			t.Errorf("%+v", o)
		}
	}
	checkRestricted(t, pod.ObjectMeta, pod.Spec)
	if a := pod.Spec.Containers[0].Args; a[0] != "check" || !slices.Contains(a, "--just-installed") || !slices.Contains(a, "--rest=http://chat-operator-management.chat.svc:9090") {
		t.Errorf("%v", a)
	}
	pod = get[*corev1.Pod](t, render(t, "management.http=false"), "chat-operator-helm-test")
	if a := pod.Spec.Containers[0].Args; !slices.Contains(a, "--rest=https://chat-operator-management.chat.svc:9091") {
		t.Errorf("%v", a)
	}
	pod = get[*corev1.Pod](t, render(t, "test.rest=false"), "chat-operator-helm-test")
	if len(pod.Spec.Volumes) != 1 || len(pod.Spec.Containers[0].VolumeMounts) != 1 || strings.Contains(strings.Join(pod.Spec.Containers[0].Args, " "), "--rest") {
		t.Errorf("%+v", pod.Spec)
	}
	pod = get[*corev1.Pod](t, list, "chat-operator-helm-test")
	// The program says itself which options it has.
	cmd := exec.Command("go", append([]string{"run", "."}, append(slices.Clone(pod.Spec.Containers[0].Args), "--help")...)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
