package imageverification

import "sigs.k8s.io/controller-runtime/pkg/client"

// Indexes returns the indexes for a client that stands for the cache.
func Indexes() map[string]client.IndexerFunc { return indexes }
