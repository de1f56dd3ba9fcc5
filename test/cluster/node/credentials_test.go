package node

import (
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

func parseCertificate(t *testing.T, data []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatalf("no PEM in %q", data)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// TestServersAreTrustedByTheNamesTheyAreReachedBy verifies as a client does.
func TestServersAreTrustedByTheNamesTheyAreReachedBy(t *testing.T) {
	now := time.Now()
	files, err := credentials(sample(), now)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parseCertificate(t, files["pki/ca.crt"]))
	for _, row := range []struct {
		name, file, host string
		trusted          bool
	}{
		{"the API server from the host", "pki/apiserver.crt", "127.0.0.1", true},
		{"the API server from the node", "pki/apiserver.crt", nodeIP, true},
		{"the API server from a Pod by address", "pki/apiserver.crt", apiIP, true},
		{"the API server from a Pod by name", "pki/apiserver.crt", "kubernetes.default.svc", true},
		{"the API server by a name of somebody else", "pki/apiserver.crt", "example.com", false},
		{"the kubelet from the API server", "pki/kubelet-serving.crt", nodeIP, true},
		{"a client's certificate as a server's", "pki/apiserver-kubelet-client.crt", "127.0.0.1", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := parseCertificate(t, files[row.file]).Verify(x509.VerifyOptions{DNSName: row.host, Roots: roots, CurrentTime: now})
			if (err == nil) != row.trusted {
				t.Errorf("error %v, want trusted: %t", err, row.trusted)
			}
		})
	}
}

func TestKubeconfigsNameTheirUsersAndTheirSideOfTheForwarding(t *testing.T) {
	files, err := credentials(sample(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"kubeconfig": "https://127.0.0.1:6443"}
	for user := range users() {
		want["kubeconfigs/"+user] = "https://" + apiInside
	}
	for path, server := range want {
		config, err := clientcmd.RESTConfigFromKubeConfig(files[path])
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if config.Host != server {
			t.Errorf("%s: server %q, want %q", path, config.Host, server)
		}
		if name := parseCertificate(t, config.CertData).Subject.CommonName; name == "" {
			t.Errorf("%s: the certificate names nobody", path)
		}
	}
}
