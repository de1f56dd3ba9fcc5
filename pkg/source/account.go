package source

import (
	"fmt"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Account is a service account.
type Account struct {
	Namespace string
	Name      string
}

// AccountOf returns the account whose rights bound what a trigger sees.
func AccountOf(t *v1alpha1.ImageTrigger) Account {
	return Account{Namespace: t.Namespace, Name: t.ServiceAccountName()}
}

// User returns the name by which the API server knows the account.
func (a Account) User() string { return "system:serviceaccount:" + a.Namespace + ":" + a.Name }

// Groups returns the groups that the API server puts the account in.
func (a Account) Groups() []string {
	return []string{"system:serviceaccounts", "system:serviceaccounts:" + a.Namespace, "system:authenticated"}
}

// String returns namespace/name.
func (a Account) String() string { return a.Namespace + "/" + a.Name }

// GrantImageStreams returns the command that lets the account get the ImageStreams of a
// namespace.
func (a Account) GrantImageStreams(namespace string) string {
	return fmt.Sprintf("kubectl create role imagestream-reader -n %[1]s --verb=get --resource=imagestreams.image.openshift.io && "+
		"kubectl create rolebinding imagestream-reader-%[2]s-%[3]s -n %[1]s --role=imagestream-reader --serviceaccount=%[2]s:%[3]s",
		namespace, a.Namespace, a.Name)
}
