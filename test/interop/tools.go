//go:build tools

package interop

import _ "github.com/sigstore/cosign/v3/cmd/cosign" // by TestCosignReadsWhatTheAttestorSigned
