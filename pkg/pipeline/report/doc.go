// Package report holds what one check found in an image: the file that a check
// writes into the layout's reports/ and that the verdict is joined from.
//
// Contract: a report names the digest and every image that it looked at, so
// that the verdict can tell a check that passed from one that did not look. A
// scanner is added by writing such a report under its own name and by telling
// the verdict step to expect it.
package report
