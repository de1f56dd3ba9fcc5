package node

import (
	"fmt"
	"strings"
)

// component is one program of the cluster, a process of the agent's.
type component struct {
	name string
	path string
	args []string
}

// components are the cluster's programs by the order in which they start.
// What comes after the API server needs it ready: the controller manager would
// end, the others would wait longer than need be before they try again.
type components struct {
	first []component // etcd, containerd, API server
	then  []component // what needs the API server
	last  []component // what needs the node's own object
}

func newComponents(c Config) components {
	all := components{
		first: []component{etcd(c), containerd(c), registryServer(c), apiServer(c)},
		then:  []component{controllerManager(c), scheduler(c), kubelet(c), kubeProxy(c), coreDNS(c)},
	}
	if c.Router != "" {
		all.last = append(all.last, router(c))
	}
	return all
}

func etcd(c Config) component {
	return component{"etcd", c.Kube, []string{"etcd",
		"--name=revet",
		"--data-dir=" + c.file("etcd"),
		"--unsafe-no-fsync",
		"--listen-client-urls=http://" + etcdInside,
		"--advertise-client-urls=http://" + etcdInside,
		"--listen-peer-urls=http://127.0.0.1:2380",
		"--initial-advertise-peer-urls=http://127.0.0.1:2380",
		"--initial-cluster=revet=http://127.0.0.1:2380",
		// Benchmarks write more than the default 2 GiB between compactions.
		"--quota-backend-bytes=8589934592",
		"--log-level=warn",
	}}
}

func containerd(c Config) component {
	return component{"containerd", "containerd", []string{
		"--config", c.file("containerd", "config.toml"),
	}}
}

func registryServer(c Config) component {
	args := []string{"registry",
		"--dir=" + c.RegistryDir,
		"--addr=0.0.0.0:5000",
		"--kubeconfig=" + c.file("kubeconfigs", "registry"),
		"--etcd=http://" + etcdInside,
		"--public=" + c.registryHost(),
	}
	for _, e := range c.Notify {
		args = append(args, "--notify="+notifyValue(e))
	}
	return component{"registry", c.Executable, args}
}

func apiServer(c Config) component {
	pki := func(name string) string { return c.file("pki", name) }
	return component{"kube-apiserver", c.Kube, []string{"kube-apiserver",
		"--etcd-servers=http://" + etcdInside,
		"--bind-address=0.0.0.0",
		"--secure-port=6443",
		"--advertise-address=" + nodeIP,
		"--tls-cert-file=" + pki("apiserver.crt"),
		"--tls-private-key-file=" + pki("apiserver.key"),
		"--client-ca-file=" + pki("ca.crt"),
		"--kubelet-client-certificate=" + pki("apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + pki("apiserver-kubelet-client.key"),
		"--kubelet-certificate-authority=" + pki("ca.crt"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc." + domain,
		"--service-account-key-file=" + pki("service-account.pub"),
		"--service-account-signing-key-file=" + pki("service-account.key"),
		"--requestheader-client-ca-file=" + pki("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + pki("front-proxy-client.crt"),
		"--proxy-client-key-file=" + pki("front-proxy-client.key"),
		"--service-cluster-ip-range=" + serviceCIDR,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		// Gates pin tags with MutatingAdmissionPolicies, which are off before Kubernetes 1.36.
		"--feature-gates=MutatingAdmissionPolicy=true",
		"--runtime-config=admissionregistration.k8s.io/v1beta1=true",
		"--max-requests-inflight=2000",
		"--max-mutating-requests-inflight=1000",
	}}
}

func controllerManager(c Config) component {
	return component{"kube-controller-manager", c.Kube, []string{"kube-controller-manager",
		"--kubeconfig=" + c.file("kubeconfigs", "kube-controller-manager"),
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + c.file("pki", "service-account.key"),
		"--root-ca-file=" + c.file("pki", "ca.crt"),
		"--cluster-signing-cert-file=" + c.file("pki", "ca.crt"),
		"--cluster-signing-key-file=" + c.file("pki", "ca.key"),
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
	}}
}

func scheduler(c Config) component {
	return component{"kube-scheduler", c.Kube, []string{"kube-scheduler",
		"--kubeconfig=" + c.file("kubeconfigs", "kube-scheduler"),
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
	}}
}

func kubelet(c Config) component {
	return component{"kubelet", c.Kube, []string{"kubelet",
		"--config=" + c.file("kubelet.yaml"),
		"--kubeconfig=" + c.file("kubeconfigs", "kubelet"),
		"--hostname-override=" + nodeName,
		"--node-ip=" + nodeIP,
	}}
}

func kubeProxy(c Config) component {
	return component{"kube-proxy", c.Kube, []string{"kube-proxy",
		"--config=" + c.file("kube-proxy.yaml"),
		"--hostname-override=" + nodeName,
	}}
}

func coreDNS(c Config) component {
	return component{"coredns", c.Kube, []string{"coredns", c.file("Corefile")}}
}

// router is kube-router without routing and proxying: what is left enforces NetworkPolicies.
func router(c Config) component {
	return component{"kube-router", c.Router, []string{
		"--kubeconfig=" + c.file("kubeconfigs", "kube-router"),
		"--hostname-override=" + nodeName,
		"--run-firewall=true",
		"--run-router=false",
		"--run-service-proxy=false",
		"--service-cluster-ip-range=" + serviceCIDR,
		"--health-port=0",
		"--v=1",
	}}
}

// logFile is where a component's output goes.
func logFile(c Config, name string) string {
	return c.file("logs", fmt.Sprintf("%s.log", name))
}

// notifyValue is an endpoint as a flag of the registry's command.
func notifyValue(e Endpoint) string {
	return strings.TrimSuffix(e.Name+"="+e.URL+","+e.TokenFile, ",")
}
