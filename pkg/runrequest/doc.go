// Package runrequest says how a request for a run proves that Revet's controller sent it, and
// which form its body has. The controller signs what it sends to an EventListener. The receiver
// checks it as the listener's interceptor, before anything is made of the request.
//
// # The keys
//
// The Secret revet-request-key in Revet's namespace holds keys of at least 32 bytes by their
// names. The last name signs, and all of them count. To rotate, add a key with a later name, such
// as a date, and remove the older one some minutes later. Nothing is lost on the way: a receiver
// that meets a name that it does not know reads the Secret again.
//
// # The signature
//
// One header, whose MAC is HMAC-SHA256 in hexadecimal:
//
//	Revet-Signature: v1 key=2026-11-30 time=1796040000 mac=5f0c...
//
// The MAC covers the version, the key's name, the time, the namespace of the trigger that asks,
// and every byte of the body. It covers the namespace because whoever edits one sees what Revet
// sends to its listeners: without it they could send that to another namespace's listener. It does
// not cover other headers, so a binding should read the body alone.
//
// A signature counts for five minutes. Within these, a request can be sent again by whoever saw
// it, and makes nothing twice: the run's name is in the body, and is the name of its PipelineRun.
//
// # The form
//
// CheckForm refuses a body that the controller would not write, whoever signed it. Above all
// sandbox.podField takes two values: runtimeClassName, and schedulerName with the name of the
// scheduler that Pods have anyway.
package runrequest
