// Package sbom says where the SBOMs of a layout are: a CycloneDX document for each
// image.
package sbom
