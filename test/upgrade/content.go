package upgrade

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// etcdTimeout bounds one request to etcd.
const etcdTimeout = 10 * time.Second

// Pair is one key of etcd. A value that is JSON stays readable in a recording; what the API server
// stores as protobuf does not.
type Pair struct {
	Key   string          `json:"key"`
	JSON  json.RawMessage `json:"json,omitempty"`
	Bytes []byte          `json:"bytes,omitempty"`
}

func (p Pair) value() string {
	if p.JSON != nil {
		return string(p.JSON)
	}
	return string(p.Bytes)
}

// ours says whether a key belongs to the recorded namespace or to its images.
func ours(key string) bool {
	if strings.Contains(key, "/events/") {
		return false // the API server forgets them within an hour
	}
	return strings.Contains(key, "/"+Namespace+"/") || strings.HasSuffix(key, "/namespaces/"+Namespace) ||
		strings.Contains(key, "/runtimeclasses/"+Namespace+"-") || strings.HasPrefix(key, "/openshift.io/image.openshift.io/images/")
}

// Dump reads the keys of the recorded namespace from an etcd.
func Dump(ctx context.Context, etcd string) ([]Pair, error) {
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{etcd}})
	if err != nil {
		return nil, fmt.Errorf("connecting to etcd at %q: %w", etcd, err)
	}
	defer func() { _ = client.Close() }()
	answer, err := client.Get(ctx, "/", clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("reading etcd: %w", err)
	}
	var pairs []Pair
	for _, kv := range answer.Kvs {
		p := Pair{Key: string(kv.Key)}
		if !ours(p.Key) {
			continue
		}
		if json.Valid(kv.Value) {
			p.JSON = bytes.TrimSpace(kv.Value)
		} else {
			p.Bytes = kv.Value
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// Load writes keys into an etcd. Their kinds need not be served yet.
func Load(ctx context.Context, etcd string, pairs []Pair) error {
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{etcd}})
	if err != nil {
		return fmt.Errorf("connecting to etcd at %q: %w", etcd, err)
	}
	defer func() { _ = client.Close() }()
	for _, p := range pairs {
		if _, err := client.Put(ctx, p.Key, p.value()); err != nil {
			return fmt.Errorf("writing %q to etcd: %w", p.Key, err)
		}
	}
	return nil
}

// WriteFile writes pairs, one a line.
func WriteFile(file string, pairs []Pair) error {
	var lines bytes.Buffer
	zipped := gzip.NewWriter(&lines)
	encoder := json.NewEncoder(zipped)
	for _, p := range pairs {
		if err := encoder.Encode(p); err != nil {
			return fmt.Errorf("encoding %q: %w", p.Key, err)
		}
	}
	if err := zipped.Close(); err != nil {
		return err
	}
	return os.WriteFile(file, lines.Bytes(), 0o600)
}

// ReadFile reads what [WriteFile] wrote.
func ReadFile(file string) (pairs []Pair, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	zipped, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	for decoder := json.NewDecoder(zipped); ; {
		var p Pair
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return slices.Clip(pairs), nil
		} else if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		pairs = append(pairs, p)
	}
}
