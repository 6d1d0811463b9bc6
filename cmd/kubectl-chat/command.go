package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/chat-operator/chat-operator/xmpp/similar"
)

// Variables that give flags their defaults.
const (
	envURL  = "KUBECTL_CHAT_REST_URL"
	envAuth = "KUBECTL_CHAT_AUTH"
)

// options are the flags that every command has.
type options struct {
	genericiooptions.IOStreams
	kube *genericclioptions.ConfigFlags
	now  func() time.Time

	restURL    string
	restSecret string
	secretFile string
	caFile     string
	serverName string
	insecure   bool
	auth       string
}

const description = `Shows and runs a chat server: the one of the namespace.

Users, groups, rooms and properties are read from the Kubernetes API, with your rights. What is live (sessions, who is in a room, messages)
comes from the REST API of the server, through a port-forward to its Pod. For that the shared secret of the REST API is read from the
installation's Secret, so you need the right to read it; with --auth=token your own Kubernetes token goes to the server instead.`

func newOptions(streams genericiooptions.IOStreams) *options {
	return &options{IOStreams: streams, kube: genericclioptions.NewConfigFlags(true), now: time.Now}
}

// newCommand is the whole command line.
func newCommand(o *options) *cobra.Command {
	root := &cobra.Command{
		Use:     "kubectl-chat",
		Short:   "Show and run a chat server",
		Long:    description,
		Version: version,
		Annotations: map[string]string{
			cobra.CommandDisplayNameAnnotation: "kubectl chat",
		},
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(o.In)
	root.SetOut(o.Out)
	root.SetErr(o.ErrOut)
	flags := root.PersistentFlags()
	o.kube.AddFlags(flags)
	flags.StringVar(&o.restURL, "rest-url", os.Getenv(envURL), "Address of the REST API, for a server that is no Pod of the namespace ("+envURL+")")
	flags.StringVar(&o.restSecret, "rest-secret", "", "Name of a Secret whose key rest-secret is used; the installation's own where none is named")
	flags.StringVar(&o.secretFile, "rest-secret-file", "", "File that holds the shared secret of the REST API")
	flags.StringVar(&o.caFile, "rest-ca-file", "", "Certificates (PEM) that the server behind --rest-url is checked by")
	flags.StringVar(&o.serverName, "rest-tls-server-name", "", "Name in the certificate of the server behind --rest-url, where it is not that of the address")
	flags.BoolVar(&o.insecure, "rest-insecure-skip-tls-verify", false, "Do not check the certificate of the server behind --rest-url")
	flags.StringVar(&o.auth, "auth", envOr(envAuth, authSecret), "How to log in to the REST API: secret, or token, which sends your Kubernetes token to the chat server ("+envAuth+")")

	root.SetFlagErrorFunc(explainFlag)

	root.AddCommand(
		newUsers(o), newSessions(o), newRooms(o), newStatus(o),
		newKick(o), newLock(o), newUnlock(o), newSend(o), newPasswd(o), newPurge(o), newVersion(o),
	)
	o.completeFlags(root)
	return root
}

// explainFlag says what is wrong with the flags of a command, and where they are listed.
func explainFlag(cmd *cobra.Command, err error) error {
	text := err.Error()
	if strings.HasSuffix(text, " in -A") || strings.HasSuffix(text, " --all-namespaces") {
		return errors.New("a chat server is that of one namespace: name it with --namespace")
	}
	if name, found := strings.CutPrefix(text, "unknown flag: --"); found {
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
		text = fmt.Sprintf("there is no flag --%s", name)
		if flag := similar.To(name, known); flag != "" {
			text += "; it resembles --" + flag
		}
	}
	return fmt.Errorf("%s. Run `%s --help` for what there is", text, cmd.CommandPath())
}

// noSuchCommand refuses the first word after kubectl chat, which none of the commands has taken.
func noSuchCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var known []string
	for _, c := range root.Commands() {
		known = append(known, c.Name())
	}
	text := fmt.Sprintf("there is no command %q", args[0])
	if name := similar.To(args[0], known); name != "" {
		text += "; it resembles " + name
	}
	return fmt.Errorf("%s. Run `%s --help` for what there is", text, root.CommandPath())
}

// newVersion says what the flag --version says: people try both.
func newVersion(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this plugin; `kubectl chat status` has that of the server",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintf(o.Out, "%s version %s\n", cmd.Root().DisplayName(), version)
		},
	}
}

func envOr(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
