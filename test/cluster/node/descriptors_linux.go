package node

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// inherited returns the n files that the parent passed, in its order. They are
// kept from this process's own children: a lock or the end of a pipe that leaks
// into one of them would never be seen to be released.
func inherited(names ...string) []*os.File {
	files := make([]*os.File, 0, len(names))
	for i, name := range names {
		fd := 3 + i
		syscall.CloseOnExec(fd)
		files = append(files, os.NewFile(uintptr(fd), name))
	}
	return files
}

// tryLock takes the lock file without waiting; ok is false where another
// process has it. The lock is released when every process that was handed the
// file has ended.
func tryLock(path string) (file *os.File, ok bool, err error) {
	file, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("open lock: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return file, true, nil
	}
	_ = file.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, false, nil
	}
	return nil, false, fmt.Errorf("lock %q: %w", path, err)
}
