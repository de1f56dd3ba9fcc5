// Package doctor is the command "doctor", which finds out why pushes are not recorded or
// verified, and names the cure of each finding.
//
// Contract: it judges triggers with the functions of the controller, reads with the
// rights of whoever runs it, and writes nothing. The exit status is 1 if it finds a problem.
package doctor
