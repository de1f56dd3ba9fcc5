package node

// State of a checkout's cluster.
type State int

// The states, from nothing to ready.
const (
	Unknown State = iota
	Stopped
	// Busy is starting or being taken down.
	Busy
	Running
)

// String names the state for people.
func (s State) String() string {
	switch s {
	case Stopped:
		return "stopped"
	case Busy:
		return "starting or being taken down"
	case Running:
		return "running"
	case Unknown:
		return "unknown"
	default:
		return "invalid"
	}
}
