package v1alpha1_test

import (
	"context"
	"os/exec"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("config/default", func() {
	It("installs as it is, into a namespace that takes no Pod but a restricted one", func(ctx context.Context) {
		for _, folder := range []string{"cluster", "namespace", "default"} {
			out, err := exec.CommandContext(ctx, env.Kubectl, "--kubeconfig="+env.Admin.Kubeconfig,
				"apply", "--server-side", "--force-conflicts", "--validate=strict", "--kustomize="+filepath.Join(configFolder, folder)).CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), "%s", out)
			Expect(string(out)).NotTo(ContainSubstring("Warning"))
		}

		set := &appsv1.StatefulSet{}
		Expect(admin.Get(ctx, types.NamespacedName{Namespace: "chat", Name: "chat-operator"}, set)).To(Succeed())
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "chat", Name: "one", Labels: set.Spec.Template.Labels},
			Spec:       set.Spec.Template.Spec,
		}
		for _, claim := range set.Spec.VolumeClaimTemplates { // as the controller does
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: claim.Name, VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name + "-one"},
			}})
		}
		Expect(admin.Create(ctx, pod.DeepCopy(), client.DryRunAll)).To(Succeed())
		pod.Spec.SecurityContext.RunAsNonRoot = nil
		Expect(admin.Create(ctx, pod, client.DryRunAll)).To(MatchError(ContainSubstring(`violates PodSecurity "restricted`)))

		account := &corev1.ServiceAccount{}
		Expect(admin.Get(ctx, types.NamespacedName{Namespace: "chat", Name: pod.Spec.ServiceAccountName}, account)).To(Succeed())
		for _, service := range []string{"chat-operator", "chat-operator-management", set.Spec.ServiceName} {
			s := &corev1.Service{}
			Expect(admin.Get(ctx, types.NamespacedName{Namespace: "chat", Name: service}, s)).To(Succeed())
			for key, value := range s.Spec.Selector {
				Expect(pod.Labels).To(HaveKeyWithValue(key, value))
			}
			for _, port := range s.Spec.Ports {
				Expect(pod.Spec.Containers[0].Ports).To(ContainElement(HaveField("Name", port.TargetPort.StrVal)))
			}
		}
	})
})
