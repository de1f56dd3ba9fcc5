package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	imagev1 "github.com/openshift/api/image/v1"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/app"
)

// receiver runs a receiver under its own account and roles until the test ends.
func receiver(t testing.TB, change ...func(*app.ReceiverOptions)) *app.Receiver {
	t.Helper()
	o := app.DefaultReceiverOptions()
	o.Address, o.HealthAddress, o.InterceptorAddress, o.MetricsAddress, o.DrainDelay = "127.0.0.1:0", "127.0.0.1:0", "", "", 0
	o.Config, o.Log = account(t, systemNamespace, "receiver"), zap.NewNop()
	for _, f := range change {
		f(&o)
	}
	r, err := app.NewReceiver(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the receiver is ready", func() error {
		code, body := probed(t, r, "/readyz")
		if code != http.StatusOK {
			return fmt.Errorf("answered %d %s", code, body)
		}
		return nil
	})
	return r
}

// probed returns the answer to a probe of a receiver.
func probed(t testing.TB, r *app.Receiver, path string) (int, string) {
	t.Helper()
	return callAt(t, http.MethodGet, r.HealthAddr(), path, nil, nil)
}

func call(t testing.TB, method string, r *app.Receiver, path string, header map[string]string, body []byte) (int, string) {
	t.Helper()
	return callAt(t, method, r.Addr(), path, header, body)
}

func callAt(t testing.TB, method, address, path string, header map[string]string, body []byte) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

// trigger makes an ImageTrigger of the namespace's own streams. A receiver that
// becomes ready afterwards knows it.
func trigger(t *testing.T, namespace string) {
	t.Helper()
	itr := &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "vet"},
		Spec: v1alpha1.ImageTriggerSpec{
			Images: []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{}}},
			Sink:   v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: "scan-and-validate"}},
		},
	}
	if err := admin(t).Create(t.Context(), itr); err != nil {
		t.Fatal(err)
	}
}

// mayGet lets the namespace's default account get its streams.
func mayGet(t *testing.T, namespace string) {
	t.Helper()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "imagestream-reader"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"image.openshift.io"}, Resources: []string{"imagestreams"}, Verbs: []string{"get"}}},
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "imagestream-reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: "default"}},
	}
	for _, object := range []client.Object{role, binding} {
		if err := admin(t).Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
}

// push pushes a new image and returns its digest.
func push(t *testing.T, reference string) string {
	t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	return pushImage(t, reference, img)
}

func pushImage(t *testing.T, reference string, img v1.Image) string {
	t.Helper()
	ref, err := name.ParseReference(clusterOf(t).Registry().Addr()+"/"+reference, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithContext(t.Context())); err != nil {
		t.Fatalf("pushing %q: %v", reference, err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func streamNamed(t *testing.T, namespace, name string) *imagev1.ImageStream {
	t.Helper()
	var is imagev1.ImageStream
	if err := admin(t).Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &is); err != nil {
		t.Fatal(err)
	}
	return &is
}

// send sends a stream as an ApiServerSource does.
func send(t *testing.T, r *app.Receiver, is *imagev1.ImageStream) (int, string) {
	t.Helper()
	is.TypeMeta = metav1.TypeMeta{APIVersion: "image.openshift.io/v1", Kind: "ImageStream"}
	body, err := json.Marshal(is)
	if err != nil {
		t.Fatal(err)
	}
	return call(t, http.MethodPost, r, "/", map[string]string{
		"Content-Type": "application/json", "Ce-Specversion": "1.0", "Ce-Id": "9f0d0a52-2c2b-4a6e-8d8e-1f2b0a6a7c11", "Ce-Source": "https://10.96.0.1:443",
		"Ce-Type": "dev.knative.apiserver.resource.update", "Ce-Kind": "ImageStream", "Ce-Apiversion": "image.openshift.io/v1",
		"Ce-Name": is.Name, "Ce-Namespace": is.Namespace,
	}, body)
}

// pushes returns a namespace's ledger as "repository:tag@digest".
func pushes(t *testing.T, namespace string) []string {
	t.Helper()
	var entries v1alpha1.ImageVerificationList
	if err := admin(t).List(t.Context(), &entries, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, e := range entries.Items {
		for _, tag := range e.Tags() {
			got = append(got, e.Spec.Repository.Name+":"+tag.Tag+"@"+e.Spec.Digest)
		}
	}
	slices.Sort(got)
	return got
}

// The same event delivered 100 times, at once and one after another, to two
// receivers, gives one entry.
func TestHundredDeliveriesToTwoReceiversGiveOneEntry(t *testing.T) {
	ownCluster(t)
	namespace := newNamespace(t)
	mayGet(t, namespace)
	trigger(t, namespace)
	receivers := []*app.Receiver{receiver(t), receiver(t)}
	digest := push(t, namespace+"/web:prod")
	is := streamNamed(t, namespace, "web")
	var wg sync.WaitGroup
	for n := range 100 {
		wg.Go(func() {
			if code, body := send(t, receivers[n%2], is.DeepCopy()); code != http.StatusAccepted {
				t.Errorf("delivery %d was answered %d %s, want 202", n, code, body)
			}
		})
	}
	wg.Wait()
	for n := range 100 {
		if code, body := send(t, receivers[n%2], is); code != http.StatusAccepted {
			t.Errorf("later delivery %d was answered %d %s, want 202", n, code, body)
		}
	}
	if diff := cmp.Diff([]string{namespace + "/web:prod@" + digest}, pushes(t, namespace)); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// Every push of a burst, to one digest or several, by whichever receiver its
// event reaches, is in the ledger.
func TestTwoReceiversRecordABurst(t *testing.T) {
	ownCluster(t)
	namespace := newNamespace(t)
	mayGet(t, namespace)
	trigger(t, namespace)
	receivers := []*app.Receiver{receiver(t), receiver(t)}
	same, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	var wg sync.WaitGroup
	for n := range 20 {
		tag := fmt.Sprintf("t%02d", n)
		digest := ""
		if n%2 == 0 {
			digest = pushImage(t, namespace+"/web:"+tag, same)
		} else {
			digest = push(t, namespace+"/web:"+tag)
		}
		want = append(want, namespace+"/web:"+tag+"@"+digest)
		is := streamNamed(t, namespace, "web")
		wg.Go(func() {
			for {
				// An adapter repeats what was answered 503.
				code, body := send(t, receivers[n%2], is.DeepCopy())
				if code == http.StatusAccepted {
					return
				}
				if code != http.StatusServiceUnavailable {
					t.Errorf("%s was answered %d %s", tag, code, body)
					return
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(want)
	if diff := cmp.Diff(want, pushes(t, namespace)); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// What the API server does not show, or the trigger's account may not get, is
// not recorded.
func TestReceiverRecordsOnlyWhatIsShownAndAllowed(t *testing.T) {
	ownCluster(t)
	namespace := newNamespace(t)
	trigger(t, namespace)
	r := receiver(t)
	digest := push(t, namespace+"/web:prod")
	is := streamNamed(t, namespace, "web")
	if code, body := send(t, r, is); code != http.StatusAccepted {
		t.Errorf("answered %d %s, want 202", code, body)
	}
	if diff := cmp.Diff([]string{}, pushes(t, namespace)); diff != "" {
		t.Errorf("ledger of an account without rights (-want +got):\n%s", diff)
	}
	mayGet(t, namespace)
	forged := is.DeepCopy()
	forged.Status.Tags[0].Items[0].Image = "sha256:" + strings.Repeat("6", 64)
	eventually(t, "the push is recorded once the account may get the stream", func() error {
		if code, body := send(t, r, forged); code != http.StatusAccepted {
			return fmt.Errorf("answered %d %s", code, body)
		}
		if got := pushes(t, namespace); len(got) == 0 {
			return errors.New("nothing recorded")
		}
		return nil
	})
	if diff := cmp.Diff([]string{namespace + "/web:prod@" + digest}, pushes(t, namespace)); diff != "" {
		t.Errorf("ledger after a forged event (-want +got):\n%s", diff)
	}
}

// A receiver learns from its watches what others wrote, and that an entry is gone.
func TestReceiverFollowsTheLedger(t *testing.T) {
	ownCluster(t)
	namespace := newNamespace(t)
	mayGet(t, namespace)
	trigger(t, namespace)
	r := receiver(t)
	push(t, namespace+"/web:prod")
	is := streamNamed(t, namespace, "web")
	if code, body := send(t, r, is); code != http.StatusAccepted {
		t.Fatalf("answered %d %s, want 202", code, body)
	}
	if err := admin(t).DeleteAllOf(t.Context(), &v1alpha1.ImageVerification{}, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the entry is made again", func() error {
		if code, body := send(t, r, is); code != http.StatusAccepted {
			return fmt.Errorf("answered %d %s", code, body)
		}
		if len(pushes(t, namespace)) == 0 {
			return errors.New("it is not")
		}
		return nil
	})
}

// While the API server is away the sender is asked to come again; nothing is
// lost, nothing crashes.
func TestReceiverOutlivesTheAPIServer(t *testing.T) {
	ownCluster(t)
	namespace := newNamespace(t)
	mayGet(t, namespace)
	trigger(t, namespace)
	r := receiver(t)
	digest := push(t, namespace+"/web:prod")
	is := streamNamed(t, namespace, "web")
	if err := clusterOf(t).StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	if code, _ := send(t, r, is); code != http.StatusServiceUnavailable {
		t.Errorf("answered %d while the API server is away, want 503", code)
	}
	eventually(t, "the receiver is not ready", func() error {
		if code, body := probed(t, r, "/readyz"); code != http.StatusServiceUnavailable {
			return fmt.Errorf("answered %d %s", code, body)
		}
		return nil
	})
	if code, _ := probed(t, r, "/healthz"); code != http.StatusOK {
		t.Errorf("/healthz answered %d while the API server is away, want 200: a restart would not help", code)
	}
	if err := clusterOf(t).StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the push is recorded", func() error {
		if code, body := send(t, r, is); code != http.StatusAccepted {
			return fmt.Errorf("answered %d %s", code, body)
		}
		return nil
	})
	if diff := cmp.Diff([]string{namespace + "/web:prod@" + digest}, pushes(t, namespace)); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

const webhookToken = "integration-token-0123456789"

// The operator's configuration is followed while the receiver runs, and a
// notification of the real registry's form leads to what the registry shows.
func TestReceiverFollowsTheOperatorsConfiguration(t *testing.T) {
	ownCluster(t)
	namespace := newNamespace(t)
	core, logs := observer.New(zap.ErrorLevel)
	r := receiver(t, func(o *app.ReceiverOptions) { o.Log = zap.New(core) })
	host := clusterOf(t).Registry().Addr()
	itr := &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "vet"},
		Spec: v1alpha1.ImageTriggerSpec{
			Images: []v1alpha1.ImageSelector{{Repository: host + "/" + namespace + "/**"}},
			Sink:   v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: "scan-and-validate"}},
		},
	}
	if err := admin(t).Create(t.Context(), itr); err != nil {
		t.Fatal(err)
	}
	digest := push(t, namespace+"/web:prod")
	notification, err := json.Marshal(map[string]any{"events": []any{map[string]any{"action": "push", "target": map[string]any{
		"mediaType": "application/vnd.docker.distribution.manifest.v2+json", "repository": namespace + "/web", "tag": "prod", "digest": digest,
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	notify := func() (int, string) {
		return call(t, http.MethodPost, r, "/registries/local", map[string]string{
			"Authorization": "Bearer " + webhookToken, "Content-Type": "application/vnd.docker.distribution.events.v2+json",
		}, notification)
	}
	if code, body := notify(); code != http.StatusNotFound {
		t.Errorf("a registry that is not listed was answered %d %s, want 404", code, body)
	}
	replace(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "registry-webhooks"}, Data: map[string][]byte{"local": []byte(webhookToken)},
	})
	setConfig(t, "config-registries", map[string]string{
		"registries.yaml": fmt.Sprintf("- {name: local, host: %q, insecure: true, namespaces: [%s]}", host, namespace),
	})
	eventually(t, "the push is recorded", func() error {
		code, body := notify()
		if got := pushes(t, namespace); code != http.StatusAccepted || len(got) == 0 {
			return fmt.Errorf("answered %d %s, ledger %v", code, body, got)
		}
		return nil
	})
	if diff := cmp.Diff([]string{host + "/" + namespace + "/web:prod@" + digest}, pushes(t, namespace)); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	setConfig(t, "config-registries", map[string]string{"registries.yaml": "{"})
	eventually(t, "the log tells of a broken configuration", func() error {
		for _, line := range logs.FilterMessage("configuration cannot be used").All() {
			if strings.Contains(fmt.Sprint(line.ContextMap()["error"]), "config-registries, key registries.yaml") {
				return nil
			}
		}
		return fmt.Errorf("logged %v", logs.All())
	})
	if code, body := probed(t, r, "/readyz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("/readyz answered %d %q, want ok and no more", code, body)
	}
	if code, body := notify(); code != http.StatusAccepted {
		t.Errorf("with the last good configuration: answered %d %s, want 202", code, body)
	}
}

// A receiver that is told to stop answers what is under way.
func TestReceiverDrains(t *testing.T) {
	ownCluster(t)
	o := app.DefaultReceiverOptions()
	o.Address, o.HealthAddress, o.InterceptorAddress, o.MetricsAddress = "127.0.0.1:0", "127.0.0.1:0", "", ""
	o.DrainDelay = 300 * time.Millisecond
	o.Config, o.Log = account(t, systemNamespace, "receiver"), zap.NewNop()
	r, err := app.NewReceiver(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- r.Stop(context.WithoutCancel(t.Context())) }()
	eventually(t, "readiness tells of the end while requests are still served", func() error {
		code, body := probed(t, r, "/readyz")
		if code != http.StatusServiceUnavailable || !strings.Contains(body, "shutting down") {
			return fmt.Errorf("answered %d %s", code, body)
		}
		return nil
	})
	if err := <-stopped; err != nil {
		t.Errorf("stopping: %v", err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.HealthAddr()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.DefaultClient.Do(request); err == nil {
		_ = response.Body.Close()
		t.Error("it still answers after it stopped")
	}
}
