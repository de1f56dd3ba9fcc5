package node

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	nodev1 "k8s.io/api/node/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const registryNamespace = "openshift-image-registry"

// makeObjects creates the objects that make up the platform.
func (w waiter) makeObjects(ctx context.Context, client kubernetes.Interface) error {
	type step struct {
		what   string
		create func() error
	}
	steps := []step{
		{"RuntimeClass kata", func() error {
			_, err := client.NodeV1().RuntimeClasses().Create(ctx, kataClass(), metav1.CreateOptions{})
			return err
		}},
		{"namespace " + registryNamespace, func() error {
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: registryNamespace}}
			_, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
			return err
		}},
	}
	for user, resources := range readers() {
		steps = append(steps, step{"ClusterRole " + user, func() error {
			_, err := client.RbacV1().ClusterRoles().Create(ctx, reader(user, resources), metav1.CreateOptions{})
			return err
		}}, step{"ClusterRoleBinding " + user, func() error {
			_, err := client.RbacV1().ClusterRoleBindings().Create(ctx, readerBinding(user), metav1.CreateOptions{})
			return err
		}})
	}
	for _, step := range steps {
		// The namespaces of Kubernetes itself appear a moment after readiness.
		if err := w.await(ctx, step.what, ignoreExists(step.create)); err != nil {
			return err
		}
	}
	for _, s := range nodeServices() {
		if err := w.await(ctx, "Service "+s.name, ignoreExists(func() error {
			_, err := client.CoreV1().Services(s.namespace).Create(ctx, s.service(), metav1.CreateOptions{})
			return err
		})); err != nil {
			return err
		}
		if err := w.await(ctx, "EndpointSlice "+s.name, ignoreExists(func() error {
			_, err := client.DiscoveryV1().EndpointSlices(s.namespace).Create(ctx, s.slice(), metav1.CreateOptions{})
			return err
		})); err != nil {
			return err
		}
	}
	return nil
}

func ignoreExists(create func() error) func(context.Context) error {
	return func(context.Context) error {
		err := create()
		switch {
		case apierrors.IsAlreadyExists(err):
			return nil
		case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
			return permanent{err}
		}
		return err
	}
}

// kataClass is the runtime class that users of Kata Containers name.
func kataClass() *nodev1.RuntimeClass {
	return &nodev1.RuntimeClass{
		ObjectMeta: metav1.ObjectMeta{
			Name:   "kata",
			Labels: map[string]string{"revet.dev/served-by": "gvisor"},
			Annotations: map[string]string{
				"revet.dev/served-by": "On this local cluster the class kata is served by gVisor (handler runsc, platform systrap), not Kata Containers.",
			},
		},
		Handler: "runsc",
		Overhead: &nodev1.Overhead{PodFixed: corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse("10m"),
			corev1.ResourceMemory: resource.MustParse("64Mi"),
		}},
	}
}

// readers are the users that read the whole cluster, and which resources of which group.
func readers() map[string]map[string][]string {
	addresses := map[string][]string{
		"":                 {"endpoints", "services", "pods", "namespaces"},
		"discovery.k8s.io": {"endpointslices"},
	}
	policies := maps.Clone(addresses)
	policies[""] = append(slices.Clone(policies[""]), "nodes")
	policies["networking.k8s.io"] = []string{"networkpolicies"}
	return map[string]map[string][]string{dnsUser: addresses, routerUser: policies}
}

func reader(user string, resources map[string][]string) *rbacv1.ClusterRole {
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}}
	for group, of := range resources {
		role.Rules = append(role.Rules, rbacv1.PolicyRule{
			APIGroups: []string{group}, Resources: of, Verbs: []string{"get", "list", "watch"},
		})
	}
	return role
}

func readerBinding(user string) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
}

// nodeService is a Service that a process of the node serves.
type nodeService struct {
	namespace, name, clusterIP string
	ports                      []corev1.ServicePort
}

func nodeServices() []nodeService {
	return []nodeService{
		{"kube-system", "kube-dns", dnsIP, []corev1.ServicePort{
			{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 53},
			{Name: "dns-tcp", Protocol: corev1.ProtocolTCP, Port: 53},
		}},
		{registryNamespace, "image-registry", "", []corev1.ServicePort{
			{Name: "registry", Protocol: corev1.ProtocolTCP, Port: 5000},
		}},
	}
}

func (s nodeService) service() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.name},
		Spec:       corev1.ServiceSpec{ClusterIP: s.clusterIP, Ports: s.ports},
	}
}

func (s nodeService) slice() *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace,
			Name:      s.name,
			Labels: map[string]string{
				discoveryv1.LabelServiceName: s.name,
				discoveryv1.LabelManagedBy:   "revet-local-cluster",
			},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{
			Addresses:  []string{nodeIP},
			Conditions: discoveryv1.EndpointConditions{Ready: ptr(true)},
		}},
	}
	for _, port := range s.ports {
		slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{
			Name: ptr(port.Name), Protocol: ptr(port.Protocol), Port: ptr(port.Port),
		})
	}
	return slice
}

func ptr[T any](value T) *T { return &value }
