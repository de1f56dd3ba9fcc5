// Package team is the command "team", which prints what gives a team a namespace of its own
// for the verification of its images: one that the team views and does not edit.
//
// Contract: it prints manifests and changes nothing. What it prints of the pipeline and of
// the source of events is triggers/ and eventing/ with a namespace, and nothing else of them
// differs. It gives the team no right but view. What it cannot look up is an error, unless
// --offline says not to look.
package team
