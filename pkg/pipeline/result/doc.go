// Package result reads and writes the JSON files in which the steps of a Pod pass on their
// findings. All of them are in the layout that the steps share:
//
//	scan/inventory.json  an Inventory: the packages of each image
//	scan/findings.json   Findings: what the scanner found, ignored or not
//	reports/CHECK.json   a Report: what one check found
//	decided/STEP.json    Parts: what one step decided by
//	sbom/HEX.cdx.json    the SBOM of the image with that digest, as CycloneDX
//
// Scanners may link different libraries, but all read and write these files, so one scanner can
// replace another. To add a scanner, have it write a Report under its own name, and pass that name
// to the verdict step in --expect.
//
// Every file names the digest it is about, and every image that its writer checked. So a check that
// passed differs from one that did not look. Reads are bounded, and refuse fields that this version
// does not know, because a misread file could look like one without findings.
package result
