package vulndb

import "github.com/revet-dev/revet/pkg/pipeline/osv"

// The limits of a database. The largest ecosystems have some 300,000 records.
const (
	// MaxLayer bounds the records of an ecosystem as they are stored.
	MaxLayer = 2 << 30
	// MaxDatabase bounds all layers of a database together.
	MaxDatabase = 4 << 30
	// MaxRecords bounds the records of an ecosystem.
	MaxRecords = 2 << 20

	maxEcosystems = 100
	maxConfig     = 1 << 20
	maxIndex      = 1 << 30
	maxLine       = 1 << 20 // of the index
	maxName       = 1 << 10 // of a package
	maxBlocks     = 1 << 20

	// blockSize is what a block holds before it is closed: to read one record is to
	// unpack that much.
	blockSize = 128 << 10
	maxBlock  = osv.MaxRecord + blockSize + 2
)
