package vulndb

// The limits of a database. For comparison, Anchore's has about 2 million records in 1.1 GB.
const (
	// MaxFile bounds the unpacked file.
	MaxFile = 4 << 30
	// PartSize is the number of bytes of the file in each part. The last part may hold less.
	PartSize = 64 << 20
	// MaxRecords bounds all records together, and the records of each provider and each ecosystem.
	MaxRecords = 1 << 28

	// maxPart bounds a stored part. Data that does not compress grows only a little.
	maxPart   = PartSize + 1<<20
	maxParts  = MaxFile / PartSize
	maxConfig = 1 << 20
	maxNames  = 1000 // providers or ecosystems
	maxName   = 100  // bytes, of each name and of a schema

	// maxWindow bounds the memory for unpacking.
	maxWindow = 8 << 20
)
