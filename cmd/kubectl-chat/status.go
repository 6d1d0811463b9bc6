package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/yaml"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// status is how a chat server does. What could not be found out is left out.
type status struct {
	Namespace string  `json:"namespace"`
	Domain    string  `json:"domain,omitempty"`
	Server    *server `json:"server,omitempty"`
	// Trouble is why the server could not be asked.
	Trouble   string       `json:"trouble,omitempty"`
	Resources []kindStatus `json:"resources"`
	NotReady  []notReady   `json:"notReady"`
	// Unserved are other namespaces with resources that no server has looked at, as far as the Kubernetes user may see them.
	Unserved []unserved `json:"unserved,omitempty"`
}

// server is what the running server tells.
type server struct {
	Version   string     `json:"version,omitempty"`
	Pod       string     `json:"pod,omitempty"`
	StartedAt *time.Time `json:"startedAt,omitempty"`
	Restarts  *int32     `json:"restarts,omitempty"`
	Ready     bool       `json:"ready"`
	// Message says why it is not ready.
	Message            string     `json:"message,omitempty"`
	CertificateExpires *time.Time `json:"certificateExpires,omitempty"`
	// Remarks are what the server says of itself that keeps it from nothing, such as a certificate that clients refuse.
	Remarks       []string `json:"remarks,omitempty"`
	Sessions      int      `json:"sessions"`
	Available     int      `json:"available"`
	UsersOnline   int      `json:"usersOnline"`
	Rooms         int      `json:"rooms"`
	Occupants     int      `json:"occupants"`
	PurgesPending *int     `json:"purgesPending,omitempty"`
	PurgesHeld    *int     `json:"purgesHeld,omitempty"`
}

// kindStatus counts the resources of a kind by the reason of their condition Ready.
type kindStatus struct {
	Kind    string         `json:"kind"`
	Total   int            `json:"total"`
	Ready   int            `json:"ready"`
	Reasons map[string]int `json:"reasons"`
}

// notReady is a resource that is not wholly in force.
type notReady struct {
	Resource string    `json:"resource"`
	Reason   string    `json:"reason"`
	Message  string    `json:"message,omitempty"`
	Since    time.Time `json:"since"`
	inForce  bool      // but has something to look at
}

func newStatus(o *options) *cobra.Command {
	out := output{}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the server does, and which resources are not ready",
		Long: `Shows how the server does: whether it is ready, since when it runs, until when its certificate is valid, how many are connected, whether
purges are held, and which resources are not ready, with what to do. It fails when the server cannot be asked; what Kubernetes knows
is shown all the same.`,
		Example: "  kubectl chat status\n  kubectl chat status --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if out.format == formatName {
				return errors.New("--output name is for lists: choose json or yaml")
			}
			k, err := o.kubernetes()
			if err != nil {
				return err
			}
			s, err := o.status(cmd.Context(), k)
			if s == nil {
				return err
			}
			if out.forPeople() {
				if failed := s.write(o.Out, &out); failed != nil {
					return failed
				}
			} else if failed := out.document(o.Out, s); failed != nil {
				return failed
			}
			return err
		},
	}
	out.addFlags(cmd, o)
	return cmd
}

// status gives what Kubernetes knows also when the server cannot be asked, which is an error then.
func (o *options) status(ctx context.Context, k *kubernetes) (*status, error) {
	s := &status{Namespace: k.namespace, NotReady: []notReady{}}
	if err := s.resources(ctx, k); err != nil {
		return nil, err
	}
	s.Unserved = elsewhere(ctx, k, o.now())
	if s.Domain == "" && o.restURL == "" {
		s.Domain = declaredDomain(ctx, k)
	}
	err := o.askServer(ctx, k, s)
	if err != nil {
		s.Trouble = err.Error()
	}
	var none *noServerError
	if errors.As(err, &none) {
		for i := range s.NotReady {
			if s.NotReady[i].Message == notLookedAt {
				s.NotReady[i].Message = s.unservedHere()
			}
		}
	}
	return s, err
}

// unservedHere is the message of resources where there is no server to look at them.
func (s *status) unservedHere() string {
	return fmt.Sprintf("no chat server serves namespace %s: choose its namespace with --namespace", s.Namespace)
}

// resources counts what is declared.
func (s *status) resources(ctx context.Context, k *kubernetes) error {
	all, err := k.chatResources(ctx, k.namespace, metav1.ListOptions{})
	if err != nil {
		return err
	}
	counts := map[string]*kindStatus{}
	s.Resources = make([]kindStatus, len(kinds()))
	for i, kind := range kinds() {
		s.Resources[i] = kindStatus{Kind: kind.name, Reasons: map[string]int{}}
		counts[kind.name] = &s.Resources[i]
	}
	for i := range all {
		r := &all[i]
		counts[r.kind].add(r)
		if trouble, found := r.trouble(); found {
			s.NotReady = append(s.NotReady, trouble)
		}
		s.Domain = cmp.Or(s.Domain, r.domain())
	}
	slices.SortStableFunc(s.NotReady, func(a, b notReady) int {
		if a.inForce != b.inForce {
			if b.inForce {
				return -1 // what is not in force stands first
			}
			return 1
		}
		return b.Since.Compare(a.Since)
	})
	return nil
}

func (k *kindStatus) add(r *chatResource) {
	ready, reason, _, _ := readiness(r.Status.Conditions)
	k.Total++
	k.Reasons[reason]++
	if ready == string(metav1.ConditionTrue) {
		k.Ready++
	}
}

// trouble is what keeps a resource from being wholly in force.
func (r *chatResource) trouble() (notReady, bool) {
	ready, reason, message, since := readiness(r.Status.Conditions)
	inForce := ready == string(metav1.ConditionTrue)
	if c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionMembersResolved); inForce && reason != v1alpha1.ReasonUnknownKey {
		if c == nil || c.Status != metav1.ConditionFalse {
			return notReady{}, false
		}
		reason, message, since = c.Reason, c.Message, c.LastTransitionTime // it is in force, but for those who are not there
	}
	if since.IsZero() {
		since = r.CreationTimestamp
	}
	return notReady{Resource: strings.ToLower(r.kind) + "/" + r.Name, Reason: reason, Message: message, Since: since.Time, inForce: inForce}, true
}

// domain is the server's, as far as the address of a user or a room tells it.
func (r *chatResource) domain() string {
	_, host, _ := strings.Cut(r.Status.JID, "@")
	if r.kind == "ChatRoom" {
		_, host, _ = strings.Cut(host, ".") // after the service, which has no dot in it
	}
	return host
}

// declaredDomain is the domain that the StatefulSet of the namespace gives its server; empty where it cannot be told. Who cannot read it is told by
// what asks the server.
func declaredDomain(ctx context.Context, k *kubernetes) (domain string) {
	set, err := k.apps.StatefulSets(k.namespace).Get(ctx, installation, metav1.GetOptions{})
	if err != nil {
		return ""
	}
	for i := range set.Spec.Template.Spec.Containers {
		c := &set.Spec.Template.Spec.Containers[i]
		if c.Name != installation {
			continue
		}
		args := slices.Concat(c.Command, c.Args)
		for i, arg := range args {
			name, text, found := strings.Cut(strings.TrimLeft(arg, "-"), "=")
			if name != "domain" || !strings.HasPrefix(arg, "-") {
				continue
			}
			if !found && i+1 < len(args) {
				text = args[i+1]
			}
			domain = text // the last one counts
		}
	}
	if strings.Contains(domain, "$(") { // a variable of the container, whose value may be anywhere
		return ""
	}
	return domain
}

// askServer adds what only the running server knows.
func (o *options) askServer(ctx context.Context, k *kubernetes, to *status) error {
	c, err := o.connect(ctx, k)
	if err != nil {
		return err
	}
	defer c.close()
	s := &server{Ready: true}
	if err := c.get(ctx, path("system", "readiness"), nil, nil); err != nil {
		var r *refusal
		if !errors.As(err, &r) || r.status != http.StatusServiceUnavailable {
			return err
		}
		s.Ready, s.Message = false, r.Message
	}
	if s.Version, err = c.version(ctx); err != nil {
		return err
	}
	if certificate := c.certificate.Load(); certificate != nil {
		s.CertificateExpires = &certificate.NotAfter
	}
	if c.pod != nil {
		s.Pod = c.pod.Name
		for _, state := range c.pod.Status.ContainerStatuses {
			if running := state.State.Running; running != nil && s.StartedAt == nil {
				s.StartedAt, s.Restarts = &running.StartedAt.Time, &state.RestartCount
			}
		}
	}
	if c.readiness != "" {
		// As below: nothing is said of what cannot be asked for.
		if remarks, err := c.remarks(ctx); err == nil {
			s.Remarks = remarks
		}
	}
	to.Server = s
	// A server that is not ready yet answers nothing more.
	if !s.Ready {
		return nil
	}
	if err := s.live(ctx, c); err != nil {
		to.Server = nil
		return err
	}
	if c.metrics != "" {
		// They may be closed to this network, or switched off: then nothing is said of them.
		if values, err := c.readMetrics(ctx, "chat_operator_purges_pending", "chat_operator_purges_held"); err == nil {
			s.PurgesPending, s.PurgesHeld = values[0], values[1]
		}
	}
	return nil
}

func (s *server) live(ctx context.Context, c *chatServer) error {
	sessions, err := c.sessions(ctx, "")
	if err != nil {
		return err
	}
	online := map[string]bool{}
	for _, one := range sessions {
		online[one.Username] = true
	}
	s.Sessions, s.UsersOnline = len(sessions), len(online)
	var counted struct {
		Local int `json:"localSessions"`
	}
	if err := c.get(ctx, path("system", "statistics", "sessions"), nil, &counted); err != nil {
		return err
	}
	s.Available = counted.Local
	rooms, err := c.liveRooms(ctx)
	if err != nil {
		return err
	}
	if err := c.countOccupants(ctx, rooms); err != nil {
		return err
	}
	s.Rooms = len(rooms)
	for _, r := range rooms {
		s.Occupants += value(r.Occupants)
	}
	return nil
}

// version is in the document by which the API describes itself.
func (s *chatServer) version(ctx context.Context) (string, error) {
	var text []byte
	if err := s.get(ctx, path("openapi.yaml"), nil, &text); err != nil {
		return "", err
	}
	var document struct {
		Info struct {
			Version string `json:"version"`
		} `json:"info"`
	}
	if err := yaml.Unmarshal(text, &document); err != nil {
		return "", fmt.Errorf("%s describes itself in a way that cannot be read: check --rest-url (%w)", s.where, err)
	}
	return document.Info.Version, nil
}

// remarks are the lines of the readiness probe that keep nobody out.
func (s *chatServer) remarks(ctx context.Context) (list []string, err error) {
	text, err := s.text(ctx, s.readiness)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if remark, found := strings.CutPrefix(strings.TrimSpace(line), "[!]"); found {
			list = append(list, remark)
		}
	}
	return list, nil
}

// text is what stands at an address that takes no login.
func (s *chatServer) text(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return readAnswer(resp.Body, maxAnswer)
}

// readMetrics are the values of gauges without labels; nil for those that are not there.
func (s *chatServer) readMetrics(ctx context.Context, names ...string) ([]*int, error) {
	text, err := s.text(ctx, s.metrics)
	if err != nil {
		return nil, err
	}
	values := make([]*int, len(names))
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		name, number, _ := strings.Cut(lines.Text(), " ")
		if i := slices.Index(names, name); i >= 0 {
			if f, err := strconv.ParseFloat(number, 64); err == nil {
				n := int(f)
				values[i] = &n
			}
		}
	}
	return values, lines.Err()
}

// write is the status for people.
func (s *status) write(out io.Writer, p *output) error {
	w := printers.GetNewTabWriter(out)
	line := func(head, format string, args ...any) {
		fmt.Fprintf(w, "%s:\t%s\n", head, show(fmt.Sprintf(format, args...)))
	}
	line("Namespace", "%s", s.Namespace)
	line("Domain", "%s", cmp.Or(s.Domain, "not known while there is no user and no room"))
	if s.Server == nil {
		line("Server", "cannot be asked")
	} else {
		s.Server.write(line, p, s.Namespace)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, u := range s.Unserved {
		fmt.Fprintf(out, "\nNamespace %s has %s that no chat server has looked at: a server serves its own namespace alone, which here is %s.\n",
			show(u.Namespace), count(u.Resources, "chat resource"), show(s.Namespace))
	}
	fmt.Fprintln(out)
	kinds := table{heads: []string{"KIND", "TOTAL", "READY", "REASONS"}}
	for _, k := range s.Resources {
		kinds.rows = append(kinds.rows, []string{k.Kind, strconv.Itoa(k.Total), strconv.Itoa(k.Ready), reasons(k.Reasons)})
	}
	if err := kinds.write(out, false, !p.noHeaders); err != nil || len(s.NotReady) == 0 {
		return err
	}
	fmt.Fprintln(out)
	waiting := s.sayOnce(out)
	troubled := table{heads: []string{"TO LOOK AT", "REASON", "SINCE", "MESSAGE"}}
	for _, n := range s.NotReady {
		if n.Message == waiting {
			n.Message = ""
		}
		troubled.rows = append(troubled.rows, []string{n.Resource, n.Reason, p.age(n.Since), n.Message})
	}
	return troubled.write(out, false, !p.noHeaders)
}

// sayOnce says what several resources wait for, which is the same for all of them, and gives the message that need not stand with each.
func (s *status) sayOnce(out io.Writer) (message string) {
	for message, sentence := range map[string]string{
		notLookedAt:      "The operator has not looked at %[1]s yet: is it running?\n\n",
		s.unservedHere(): "No chat server serves namespace %[2]s, where %[1]s wait: choose its namespace with --namespace\n\n",
	} {
		n := 0
		for i := range s.NotReady {
			if s.NotReady[i].Message == message {
				n++
			}
		}
		if n > 1 {
			fmt.Fprintf(out, sentence, count(n, "resource"), show(s.Namespace))
			return message // no status has both
		}
	}
	return ""
}

func (s *server) write(line func(head, format string, args ...any), p *output, namespace string) {
	ready := "ready"
	if !s.Ready {
		ready = "not ready: " + s.Message
	} else if len(s.Remarks) > 0 {
		ready = "ready, but see what it remarks"
	}
	line("Server", "%s", ready)
	line("Version", "%s", cmp.Or(s.Version, unknown))
	if s.Pod != "" {
		up := ""
		if s.StartedAt != nil {
			up = fmt.Sprintf(", up for %s, restarted %s", p.age(*s.StartedAt), count(int(value(s.Restarts)), "time"))
		}
		line("Pod", "%s%s", s.Pod, up)
	}
	if at := s.CertificateExpires; at != nil {
		left := at.Sub(p.now())
		if left > 0 {
			line("Certificate", "valid until %s (%s)", at.UTC().Format(time.DateOnly), days(left))
		} else {
			line("Certificate", "expired on %s: clients refuse it", at.UTC().Format(time.DateOnly))
		}
	}
	for _, remark := range s.Remarks {
		line("Remark", "%s", remark)
	}
	if !s.Ready {
		return
	}
	line("Sessions", "%d of %s, %d with available presence", s.Sessions, count(s.UsersOnline, "user"), s.Available)
	line("Rooms", "%d with %s", s.Rooms, count(s.Occupants, "occupant"))
	if s.PurgesPending != nil {
		line("Purges", "%d waiting", *s.PurgesPending)
	}
	if n := value(s.PurgesHeld); n > 0 {
		line("Purges held", "%d, since so many accounts are gone at once. Declare them again if that was a mistake; if it was not: "+
			"kubectl annotate --overwrite --namespace %s secret %s %s=%s", n, namespace, installation, v1alpha1.ConfirmPurgeAnnotation, p.now().UTC().Format(time.RFC3339))
	}
}

func days(d time.Duration) string { return count(int(d.Hours()/24), "day") }

// reasons are counts, the most frequent first.
func reasons(counts map[string]int) string {
	type reason struct {
		name string
		n    int
	}
	list := make([]reason, 0, len(counts))
	for name, n := range counts {
		list = append(list, reason{name, n})
	}
	slices.SortFunc(list, func(a, b reason) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.name, b.name)) })
	words := make([]string, len(list))
	for i, r := range list {
		words[i] = fmt.Sprintf("%s %d", r.name, r.n)
	}
	return cmp.Or(strings.Join(words, ", "), "-")
}
