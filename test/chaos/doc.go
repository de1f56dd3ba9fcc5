// Package chaos pushes images while everything between the registry and the verdict is killed, paused, restarted and cut
// off, and then takes an account: were all pushes covered, and none twice?
package chaos
