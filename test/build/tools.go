//go:build tools

package build

import _ "github.com/GoogleContainerTools/kaniko/cmd/executor" // by ko
