// Command step holds the steps of Revet's pipeline: fetch, validate and publish,
// which run one after another in one Pod and share a directory; signature, in a
// Pod of its own; and verdict, which joins what they came to.
//
// What each promises is in pkg/pipeline/{fetch,validate,publish,signature,verdict}.
// Exit status 0 means that the step did its work, also if the image failed its
// checks; 1 that there is no verdict. The reason is one line on standard error
// and, where --results names a directory, the result "error".
package main
