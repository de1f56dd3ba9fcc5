//go:build tools

package netpol

import _ "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router" // by test/cluster/node
