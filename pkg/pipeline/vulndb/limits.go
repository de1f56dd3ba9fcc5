package vulndb

// The limits of a database. Anchore's has some 2 million records in 1.1 GB.
const (
	// MaxFile bounds the file, unpacked.
	MaxFile = 4 << 30
	// PartSize is how much of the file a part holds; the last one may hold less.
	PartSize = 64 << 20
	// MaxRecords bounds the records, those of a provider, and those of an ecosystem.
	MaxRecords = 1 << 28

	// maxPart bounds a part as it is stored. What does not compress grows by little.
	maxPart   = PartSize + 1<<20
	maxParts  = MaxFile / PartSize
	maxConfig = 1 << 20
	maxNames  = 1000 // providers, and ecosystems
	maxName   = 100  // of each, and of a schema

	// maxWindow bounds the memory that unpacking takes.
	maxWindow = 8 << 20
)
