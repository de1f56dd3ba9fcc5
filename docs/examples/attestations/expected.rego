# What you expect of a signed verdict: change every value. verdict.rego compares.
package expected

import rego.v1

# The images' repositories. One that ends in "/" stands for all that begin with it.
repositories := {"oci://registry.example.com/team/app"}

# The triggers whose verdicts count. Name all whose verdicts are signed for these repositories:
# cosign refuses an image if any statement by your key does not satisfy the policy.
policies := {"revet://prod-1/namespaces/image-verification/imagetriggers/all"}

# How old a verdict may be.
max_age := "24h"

# What the summary must claim, such as REVET_SANDBOXED or REVET_CHECK_VULNERABILITIES.
levels := {"REVET_PASSED"}

# The attestor's --verifier-id.
verifier := "https://revet.dev/attestor"
