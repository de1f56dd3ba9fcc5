// Package failpoint lets crash tests kill or stop a process between two steps.
//
// In ordinary builds Hit is empty and compiled away. Built with the tag
// "failpoint", Hit(name) sends SIGKILL to its own process the first time it is
// reached under the name that the environment variable REVET_FAILPOINT gives. With
// ":stop" behind the name it sends SIGSTOP instead, once: whoever sends SIGCONT
// lets the process go on from there.
//
// Pause(d) is d in ordinary builds. Built with the tag, it is at most the time that the
// environment variable REVET_FAILPOINT_PAUSE gives: for waits that crash tests meet often.
package failpoint
