package layers

// Inode tells entries that are hard links to one file: they have the same one.
func (e *Entry) Inode() uint32 { return e.inode }
