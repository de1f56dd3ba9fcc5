// Package sandbox decides in which RuntimeClass a run executes.
//
// Contract: Decide is pure. The same trigger, key and image give the same Route, so a request that
// is sent again asks for the same class. Decide applies exclusions first, then the weight, then the
// fallback. So whether an image is outside the class by the owner's choice does not depend on
// whether the class exists.
//
// The weight compares a keyed hash of the digest with the percentage. A digest that is inside at
// one weight is inside at every higher weight. Without the key nobody can predict the side of a
// digest, so nobody can craft an image that escapes the sandbox. With the key, a few attempts are
// enough. Decide therefore refuses to use the weight without a key of at least MinKey bytes.
//
// The run records what it asked for. A Route does not say where the Pods really executed; Revet
// reads that from the Pods.
package sandbox
