package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/hack/internal/localkube"
	"github.com/chat-operator/chat-operator/hack/internal/lock"
	"github.com/chat-operator/chat-operator/hack/internal/supervise"
)

// lockDir makes sure that one run at a time works in a folder.
func lockDir(dir string) (unlock func(), err error) {
	unlock, err = lock.Dir(dir)
	if held := (*lock.HeldError)(nil); errors.As(err, &held) {
		return nil, fmt.Errorf("another run works in %s (process %s); stop it with Ctrl-C, or have this one beside it, with a folder and ports of its own: "+
			"make run RUN_DIR=FOLDER PORTS=free", held.Dir, held.PID)
	}
	return unlock, err
}

// startLimit bounds the way from nothing to ready.
const startLimit = 2 * time.Minute

// up is the command `up`. It returns when ctx ends, or when one of the processes ends by itself, which is an error.
func up(ctx context.Context, restoreSignals func(), args []string, out io.Writer) (err error) {
	s, err := parseSettings(args)
	if err != nil {
		return err
	}
	unlock, err := lockDir(s.dir)
	if err != nil {
		return err
	}
	defer unlock()
	pids := filepath.Join(s.dir, "pids")
	_, statErr := os.Stat(pids)
	killed := statErr == nil // an orderly end removes the file
	ended, err := supervise.EndLeftovers(pids)
	if len(ended) > 0 {
		fmt.Fprintf(out, "An earlier run was killed and left processes behind; ended now: %s.\n", strings.Join(ended, ", "))
	}
	if err != nil {
		return err
	}
	var patience time.Duration
	if killed {
		patience = 10 * time.Second // the kernel may still be ending the processes of that run, and they hold ports
	}
	if err := errors.Join(removeEnv(s), s.checkBinaries(), waitPorts(ctx, s.ports(), patience)); err != nil {
		return err
	}

	group := supervise.New(pids)
	defer func() {
		// From here on a second Ctrl-C ends this program at once, and the kernel the others with it.
		restoreSignals()
		fmt.Fprintln(out, "\nStopping; Ctrl-C again kills.")
		err = errors.Join(err, removeEnv(s), group.Close())
		fmt.Fprintf(out, "Stopped. Data is kept in %s; remove that folder to begin anew.\n", s.dir)
	}()

	r := &run{settings: s, out: out, group: group}
	begin := time.Now()
	if err := r.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C while starting is a wish, not a failure
		}
		return err
	}
	report, err := r.report(ctx)
	if err != nil {
		return err
	}
	if err := writeEnv(s, report); err != nil {
		return err
	}
	report.print(out, s, time.Since(begin))
	return r.wait(ctx)
}

// run is one run of everything.
type run struct {
	settings *settings
	out      io.Writer
	group    *supervise.Group
	kubectl  *kubectl
	procs    []*supervise.Process
	operator *supervise.Process // nil without one
	applied  []string           // users of config/samples that this run has declared, as kubectl names them
}

// start goes from nothing to an operator that answers its readiness probe, or without one to an API server.
func (r *run) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	path, err := r.settings.kubectlPath()
	if err != nil {
		return err
	}
	r.kubectl = &kubectl{path: path, namespace: r.settings.namespace}
	operatorKubeconfig := ""
	if r.settings.current {
		if err := r.step("Looking at the cluster of KUBECONFIG", func() error { return r.checkCluster(ctx) }); err != nil {
			return err
		}
	} else {
		if operatorKubeconfig, err = r.startCluster(ctx); err != nil {
			return err
		}
	}
	if r.settings.controlPlaneOnly {
		if err := os.MkdirAll(r.settings.dataDir(), 0o700); err != nil {
			return fmt.Errorf("make the folder of the operator's data: %w", err)
		}
		return nil
	}
	return r.step("Starting the operator", func() error { return r.startOperator(ctx, operatorKubeconfig) })
}

// startCluster starts the local control plane and puts into it what the operator needs. It returns the operator's kubeconfig file.
func (r *run) startCluster(ctx context.Context) (string, error) {
	s := r.settings
	cluster, err := localkube.New(localkube.Config{
		Binaries: s.binaries, Dir: s.dir, Namespace: s.namespace,
		APIPort: s.apiServer.number, EtcdPort: s.etcd.number, EtcdPeerPort: s.etcdPeer.number, ControllerManagerPort: s.controllerManager.number,
	}, r.group)
	if err != nil {
		return "", err
	}
	r.kubectl.kubeconfig = cluster.Kubeconfig()
	if !cluster.HasControllerManager() {
		fmt.Fprintf(r.out, "  %s has no kube-controller-manager: a deleted namespace stays, and what a deleted object owned stays with it.\n", s.binaries)
	}
	if err := r.step("Starting etcd and the API server", func() error { return cluster.Start(ctx) }); err != nil {
		return "", err
	}
	r.procs = cluster.Processes()
	if err := r.step("Installing the custom resources and the operator's rights", func() error { return r.install(ctx) }); err != nil {
		return "", err
	}
	if err := r.beginNamespace(ctx); err != nil {
		return "", err
	}
	// The operator runs with the rights of its ServiceAccount and no others, so that a missing rule shows here and not in production.
	kubeconfig := filepath.Join(s.dir, "operator.kubeconfig")
	return kubeconfig, cluster.WriteKubeconfig(kubeconfig, "system:serviceaccount:"+s.namespace+":"+serviceAccount,
		"system:serviceaccounts", "system:serviceaccounts:"+s.namespace)
}

// beginNamespace applies the samples to a new namespace. Who begins without an operator is about to read something in, and nothing shall be in its way.
func (r *run) beginNamespace(ctx context.Context) error {
	fresh, err := r.isNew(ctx)
	if err != nil || !fresh {
		return err
	}
	if r.settings.samples && !r.settings.controlPlaneOnly {
		if err := r.step("Applying config/samples", func() error { return r.applySamples(ctx) }); err != nil {
			return err
		}
	}
	_, err = r.kubectl.run(ctx, "annotate", "namespace", r.settings.namespace, begunAnnotation+"=true")
	return err
}

func (r *run) step(what string, do func() error) error {
	begin := time.Now()
	fmt.Fprintf(r.out, "%s ...", what)
	err := do()
	if err != nil {
		fmt.Fprintln(r.out)
		return err
	}
	fmt.Fprintf(r.out, " %.1f s\n", time.Since(begin).Seconds())
	return nil
}

// wait returns when ctx ends or a process does.
func (r *run) wait(ctx context.Context) error {
	ended := make(chan *supervise.Process, len(r.procs))
	for _, p := range r.procs {
		go func() {
			select {
			case <-p.Done():
				ended <- p
			case <-ctx.Done():
			}
		}()
	}
	select {
	case <-ctx.Done():
		return nil
	case p := <-ended:
		return p.Failure()
	}
}

// removeEnv makes sure that no file speaks of a run that is not there.
func removeEnv(s *settings) error {
	if err := os.Remove(filepath.Join(s.dir, "env")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
