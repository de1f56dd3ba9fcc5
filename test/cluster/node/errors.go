package node

import "errors"

var (
	errEnded = errors.New("the cluster ended while it was starting")
	// ErrUnsupported says why the node tier cannot run here, and what can.
	ErrUnsupported = errors.New("the node tier of the local cluster cannot run here")
)

const fastTier = "what works here is `make test`, which needs neither root nor a node: it runs everything against a real API server inside the test process"
