// Package sbom writes the packages of an image as a software bill of materials, in
// CycloneDX 1.6 JSON.
//
// Contract: Make is pure, and the same packages give the same bytes: no time and
// no random number, so that an SBOM that is pushed twice is one artefact. The
// packages are those that vulnerabilities are looked for.
package sbom
