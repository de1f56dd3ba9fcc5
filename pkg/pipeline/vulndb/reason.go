package vulndb

import "github.com/revet-dev/revet/pkg/pipeline/oci"

// The reasons why a database cannot be used. That the registry cannot be reached,
// or refuses, are content's.
const (
	// ReasonNotConfigured: none is named, and nobody said that none is wanted.
	ReasonNotConfigured oci.Reason = "DatabaseNotConfigured"
	// ReasonMissing: there is none of that name.
	ReasonMissing oci.Reason = "DatabaseMissing"
	// ReasonBroken: it contradicts itself, or cannot be read.
	ReasonBroken oci.Reason = "DatabaseBroken"
	// ReasonTampered: bytes do not have the digest that they go by.
	ReasonTampered oci.Reason = "DatabaseTampered"
	// ReasonTooOld: its data is older than it may be.
	ReasonTooOld oci.Reason = "DatabaseTooOld"
	// ReasonTooNew: its schema is newer than this version of Revet reads.
	ReasonTooNew oci.Reason = "DatabaseTooNew"
	// ReasonEmpty: it holds no record.
	ReasonEmpty oci.Reason = "DatabaseEmpty"
	// ReasonFormat: it is no database, or of a format that is not known.
	ReasonFormat oci.Reason = "DatabaseFormat"
)

// The cures that messages end with. CureBroken and CureTooNew are also of those who
// open the file.
const (
	CureBroken = "mirror it again"
	CureTooNew = "upgrade Revet, or mirror a database of an older schema"

	cureMissing  = "mirror one there (scan database mirror), or correct the parameter database"
	cureTampered = "mirror it again, and find out who or what changed it"
	cureTooOld   = "look why its mirror job failed, or allow more by database-max-age"
	cureEmpty    = "mirror it again from a source that has records"
	cureFormat   = "use the same version of Revet for the mirror and for scans, or correct the parameter database"
)

// FillCommand fills the database that triggers/800-database.yaml describes, and names it
// to the pipeline of a namespace.
const FillCommand = "kubectl revet fill-database HOST/REPOSITORY:TAG -n NAMESPACE"

// NotConfigured is the error of a scan that is told of no database.
func NotConfigured() error {
	return oci.Errorf(ReasonNotConfigured, "",
		"no vulnerability database is named, so that nobody can look for vulnerabilities; fill one with: %s; "+
			"or set the parameter scan to Off, which every verdict then shows", FillCommand)
}
