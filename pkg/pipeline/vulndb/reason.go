package vulndb

import "github.com/revet-dev/revet/pkg/pipeline/oci"

// The reasons why a database cannot be used. Package oci has the reasons for a registry that is
// unreachable or refuses access.
const (
	// ReasonNotConfigured: no database is named, and nobody switched the scan off.
	ReasonNotConfigured oci.Reason = "DatabaseNotConfigured"
	// ReasonMissing: the registry has no database of that name.
	ReasonMissing oci.Reason = "DatabaseMissing"
	// ReasonBroken: it contradicts itself or cannot be read.
	ReasonBroken oci.Reason = "DatabaseBroken"
	// ReasonTampered: some bytes do not match their digest.
	ReasonTampered oci.Reason = "DatabaseTampered"
	// ReasonTooOld: its data is older than allowed.
	ReasonTooOld oci.Reason = "DatabaseTooOld"
	// ReasonTooNew: its schema is newer than this version of Revet can read.
	ReasonTooNew oci.Reason = "DatabaseTooNew"
	// ReasonEmpty: it holds no records.
	ReasonEmpty oci.Reason = "DatabaseEmpty"
	// ReasonFormat: it is not a database, or has an unknown format.
	ReasonFormat oci.Reason = "DatabaseFormat"
)

// The fixes that error messages end with. Packages that open the file also use CureBroken and
// CureTooNew.
const (
	CureBroken = "mirror it again"
	CureTooNew = "upgrade Revet, or mirror a database with an older schema"

	cureMissing  = "mirror one there (scan database mirror), or correct the parameter database"
	cureTampered = "mirror it again, and find out who or what changed it"
	cureTooOld   = "find out why its mirror job failed, or raise database-max-age"
	cureEmpty    = "mirror it again from a source that has records"
	cureFormat   = "use the same version of Revet for the mirror and for scans, or correct the parameter database"
)

// FillCommand fills the database that triggers/800-database.yaml describes, and gives its name to
// the pipeline of a namespace.
const FillCommand = "kubectl revet fill-database HOST/REPOSITORY:TAG -n NAMESPACE"

// NotConfigured returns the error of a scan without a database.
func NotConfigured() error {
	return oci.Errorf(ReasonNotConfigured, "",
		"no vulnerability database is named, so the scan cannot run; fill one with: %s; "+
			"or set the parameter scan to Off, which every verdict then shows", FillCommand)
}
