// Package failpoint lets crash tests kill a process between two steps.
//
// In ordinary builds Hit is empty and compiled away. Built with the tag
// "failpoint", Hit(name) sends SIGKILL to its own process the first time it is
// reached under the name that the environment variable REVET_FAILPOINT gives.
package failpoint
