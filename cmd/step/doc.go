// Command step holds the steps of Revet's pipeline: fetch, validate, verdict.
//
// They run one after another in one Pod, inside the sandbox, and share a
// directory. What each promises is in pkg/pipeline/{fetch,validate,verdict}.
// Exit status 0 means that the step did its work, also if the image failed its
// checks; 1 that there is no verdict. The reason is one line on standard error
// and, where --results names a directory, the result "error".
package main
