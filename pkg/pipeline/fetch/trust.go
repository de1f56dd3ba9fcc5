package fetch

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
)

// insecureFile is the file of LoadTrust's directory that lists hosts.
const insecureFile = "insecure"

var hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$`)

// Trust is what registries are believed to be: the hosts that may be spoken to
// without TLS, and authorities beside the system's. The zero value lists none.
type Trust struct {
	insecure map[string]bool
	roots    *x509.CertPool // nil for the system's
}

// LoadTrust reads a directory, such as the mounted ConfigMap revet-registries:
// the file "insecure" lists hosts, one a line, with # before comments; files
// that end in .crt hold PEM certificates of authorities. What is not there
// adds nothing; dir may be missing or "". Further hosts come from insecure.
func LoadTrust(dir string, insecure []string) (Trust, error) {
	t := Trust{insecure: map[string]bool{}}
	for _, host := range insecure {
		if err := t.add(host); err != nil {
			return Trust{}, err
		}
	}
	if dir == "" {
		return t, nil
	}
	files := os.DirFS(dir)
	b, err := fs.ReadFile(files, insecureFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Trust{}, fmt.Errorf("read insecure registries: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		host, _, _ := strings.Cut(lines.Text(), "#")
		if host = strings.TrimSpace(host); host == "" {
			continue
		}
		if err := t.add(host); err != nil {
			return Trust{}, fmt.Errorf("line %d of insecure registries: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return Trust{}, fmt.Errorf("read insecure registries: %w", err)
	}
	if err := t.addAuthorities(files); err != nil {
		return Trust{}, err
	}
	return t, nil
}

// NewTrust returns the trust of a program that is configured by other means than a directory:
// the hosts that may be spoken to without TLS, and the authorities, which are the system's if
// roots is nil.
func NewTrust(insecure []string, roots *x509.CertPool) (Trust, error) {
	t, err := LoadTrust("", insecure)
	t.roots = roots
	return t, err
}

func (t *Trust) add(host string) error {
	if !hostPattern.MatchString(host) {
		return fmt.Errorf("%q is not a registry's host; write host or host:port, without a scheme or a path", host)
	}
	t.insecure[host] = true
	return nil
}

func (t *Trust) addAuthorities(files fs.FS) error {
	names, err := fs.Glob(files, "*.crt")
	if err != nil || len(names) == 0 {
		return err
	}
	// An image without the system's authorities is not an error: these serve.
	if t.roots, err = x509.SystemCertPool(); err != nil {
		t.roots = x509.NewCertPool()
	}
	for _, name := range names {
		pem, err := fs.ReadFile(files, name)
		if err != nil {
			return fmt.Errorf("read authority: %w", err)
		}
		if !t.roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%q holds no PEM certificate", name)
		}
	}
	return nil
}
