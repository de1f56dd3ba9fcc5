// Package sandbox decides in which RuntimeClass a run executes.
//
// Contract: Decide is pure, and the same trigger, key and image give the same
// Route, so that a request that is sent again asks for the same. An exclusion goes
// first, then the weight, then the fallback: what is outside the class by the
// owner's word does not depend on whether there is one.
//
// The weight compares a keyed hash of the digest with the percentage. Digests that
// are inside at one weight are inside at every higher one. Without the key nobody
// can tell on which side a digest is, so that nobody can push an image that escapes
// the sandbox: whoever has the key can, by trying some. Decide refuses to use the
// weight without a key of MinKey bytes.
//
// What a run asked for is written with the run. A Route says nothing about where
// its Pods really executed; that is read from them.
package sandbox
