// Package result reads and writes the JSON files by which the steps of a Pod pass on
// what they found. All of them are in the layout that the steps share:
//
//	scan/inventory.json  an Inventory: the packages of each image
//	scan/findings.json   Findings: what the scanner found, ignored or not
//	reports/CHECK.json   a Report: what one check found
//	sbom/HEX.cdx.json    the SBOM of the image with that digest, as CycloneDX
//
// Scanners differ in what they link, and agree on these files: one can take the
// other's place. To add a scanner, have it write a Report under a name of its own, and
// tell the verdict step to expect that name.
//
// Every file names the digest it is about, and every image that its writer looked at,
// so a check that passed differs from one that did not look. Reads are bounded, and
// refuse fields that this version does not know: a file that is misread could pass for
// one that says nothing.
package result
