package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// masters may do everything. The controller manager is one of them because it
// runs every controller under its own identity, which saves seconds at start.
const masters = "system:masters"

// users are the client identities of the cluster by the name of their
// kubeconfig; RBAC knows the others by the roles that Kubernetes comes with.
func users() map[string]pkix.Name {
	return map[string]pkix.Name{
		"admin":                   {CommonName: "admin", Organization: []string{masters}},
		"kube-controller-manager": {CommonName: "controller-manager", Organization: []string{masters}},
		"kube-scheduler":          {CommonName: "system:kube-scheduler"},
		"kube-proxy":              {CommonName: "system:kube-proxy"},
		"kubelet":                 {CommonName: "system:node:" + nodeName, Organization: []string{"system:nodes"}},
		"coredns":                 {CommonName: dnsUser},
		"kube-router":             {CommonName: routerUser},
		"registry":                {CommonName: "registry", Organization: []string{masters}},
	}
}

// These are bound to the roles that the agent makes.
const (
	dnsUser    = "revet:coredns"
	routerUser = "revet:kube-router"
)

// credentials returns certificates, keys and kubeconfigs by their path below
// the state directory, made anew for each start of a cluster.
func credentials(c Config, now time.Time) (map[string][]byte, error) {
	ca, err := newAuthority("revet-local-cluster", now)
	if err != nil {
		return nil, err
	}
	frontProxy, err := newAuthority("revet-front-proxy", now)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"pki/ca.crt": ca.pem, "pki/front-proxy-ca.crt": frontProxy.pem}
	if err := addAuthorityKeys(files, ca); err != nil {
		return nil, err
	}
	certificates := []struct {
		name    string
		by      *authority
		subject pkix.Name
		hosts   []string
	}{
		{"apiserver", ca, pkix.Name{CommonName: "kube-apiserver"}, []string{
			"127.0.0.1", nodeIP, apiIP, "localhost", nodeName, "kubernetes", "kubernetes.default",
			"kubernetes.default.svc", "kubernetes.default.svc." + domain}},
		{"kubelet-serving", ca, pkix.Name{CommonName: "system:node:" + nodeName, Organization: []string{"system:nodes"}}, []string{nodeIP, nodeName}},
		{"apiserver-kubelet-client", ca, pkix.Name{CommonName: "apiserver-kubelet-client", Organization: []string{masters}}, nil},
		{"front-proxy-client", frontProxy, pkix.Name{CommonName: "front-proxy-client"}, nil},
	}
	for _, cert := range certificates {
		p, err := cert.by.issue(cert.subject, now, cert.hosts...)
		if err != nil {
			return nil, err
		}
		files["pki/"+cert.name+".crt"], files["pki/"+cert.name+".key"] = p.certificate, p.key
	}
	for user, subject := range users() {
		p, err := ca.issue(subject, now)
		if err != nil {
			return nil, err
		}
		if files["kubeconfigs/"+user], err = kubeconfig("https://"+apiInside, ca.pem, user, p); err != nil {
			return nil, err
		}
		if user == "admin" {
			if files["kubeconfig"], err = kubeconfig(c.apiURL(), ca.pem, user, p); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

// addAuthorityKeys adds the key that signs certificate requests and the one
// that signs ServiceAccount tokens.
func addAuthorityKeys(files map[string][]byte, ca *authority) error {
	key, err := encodeKey(ca.key)
	if err != nil {
		return err
	}
	tokens, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("generate key of ServiceAccount tokens: %w", err)
	}
	tokenKey, err := encodeKey(tokens)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(tokens.Public())
	if err != nil {
		return fmt.Errorf("encode key of ServiceAccount tokens: %w", err)
	}
	files["pki/ca.key"] = key
	files["pki/service-account.key"] = tokenKey
	files["pki/service-account.pub"] = encodePEM("PUBLIC KEY", public)
	return nil
}

func kubeconfig(server string, ca []byte, user string, p pair) ([]byte, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters["revet"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: p.certificate, ClientKeyData: p.key}
	config.Contexts["revet"] = &clientcmdapi.Context{Cluster: "revet", AuthInfo: user}
	config.CurrentContext = "revet"
	data, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("write kubeconfig of %q: %w", user, err)
	}
	return data, nil
}
