//go:build linux

package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// provisioner names who makes the volumes of the cluster's one storage class, and removes them.
const (
	provisioner  = "chat-operator.io/folder"
	storageClass = "folder"
)

// provideVolumes gives the cluster a default storage class whose volumes are folders of the node. They are the ones of type local, which honour
// fsGroup as volumes of a cloud do.
func (n *Node) provideVolumes(ctx context.Context) error {
	if err := os.MkdirAll(n.volumeDir(""), 0o755); err != nil {
		return err
	}
	_, err := n.client.StorageV1().StorageClasses().Create(ctx, &storagev1.StorageClass{
		ObjectMeta:  metav1.ObjectMeta{Name: storageClass, Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}},
		Provisioner: provisioner, AllowVolumeExpansion: new(true),
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("make the storage class: %w", err)
	}
	go func() {
		ticker := time.NewTicker(250 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if err := errors.Join(n.makeVolumes(ctx), n.enlargeVolumes(ctx), n.removeVolumes(ctx)); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "volumes:", err)
			}
		}
	}()
	return nil
}

func (n *Node) volumeDir(volume string) string { return filepath.Join(n.cfg.Dir, "volumes", volume) }

// makeVolumes makes a volume for every claim of the class that waits for one.
func (n *Node) makeVolumes(ctx context.Context) error {
	claims, err := n.client.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var errs []error
	for _, claim := range claims.Items {
		if claim.Status.Phase != corev1.ClaimPending || claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil ||
			claim.Spec.StorageClassName == nil || *claim.Spec.StorageClassName != storageClass {
			continue
		}
		errs = append(errs, n.makeVolume(ctx, &claim))
	}
	return errors.Join(errs...)
}

func (n *Node) makeVolume(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	volume := "claim-" + string(claim.UID)
	if err := os.MkdirAll(n.volumeDir(volume), 0o755); err != nil {
		return err
	}
	_, err := n.client.CoreV1().PersistentVolumes().Create(ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: volume, Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": provisioner}},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName: storageClass, Capacity: claim.Spec.Resources.Requests, AccessModes: claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			ClaimRef:                      &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: n.volumeDir(volume)}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{name}}},
			}}}},
		},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil // it is about to be bound
	}
	return err
}

// enlargeVolumes gives every claim what it asks for: a folder has whatever the node's disk has.
func (n *Node) enlargeVolumes(ctx context.Context) error {
	claims, err := n.client.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var errs []error
	for _, claim := range claims.Items {
		asked := claim.Spec.Resources.Requests[corev1.ResourceStorage]
		if claim.Status.Phase != corev1.ClaimBound || claim.DeletionTimestamp != nil || claim.Spec.StorageClassName == nil ||
			*claim.Spec.StorageClassName != storageClass || claim.Status.Capacity.Storage().Cmp(asked) >= 0 {
			continue
		}
		volume, err := n.client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		volume.Spec.Capacity[corev1.ResourceStorage] = asked
		claim.Status.Capacity[corev1.ResourceStorage] = asked
		if _, err = n.client.CoreV1().PersistentVolumes().Update(ctx, volume, metav1.UpdateOptions{}); err == nil {
			_, err = n.client.CoreV1().PersistentVolumeClaims(claim.Namespace).UpdateStatus(ctx, &claim, metav1.UpdateOptions{})
		}
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// removeVolumes removes the volumes whose claim is gone, with what is in them.
func (n *Node) removeVolumes(ctx context.Context) error {
	volumes, err := n.client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var errs []error
	for _, volume := range volumes.Items {
		if volume.Status.Phase != corev1.VolumeReleased || volume.Annotations["pv.kubernetes.io/provisioned-by"] != provisioner ||
			volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
			continue
		}
		if err := os.RemoveAll(n.volumeDir(volume.Name)); err != nil {
			errs = append(errs, err)
			continue
		}
		if err := n.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
