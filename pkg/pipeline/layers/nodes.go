package layers

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"
)

// Type is the type of an entry.
type Type uint8

// The types. The zero value is none of them.
const (
	File Type = iota + 1
	Dir
	Symlink
	CharDevice
	BlockDevice
	Fifo
	// whiteout marks that a layer removes what lies below.
	whiteout
)

// ref refers to a node; 0 means none.
type ref uint32

const root ref = 1

// node is a name in a directory. It has no pointers and is small, so that millions of nodes burden
// neither the garbage collector nor the memory.
type node struct {
	parent, child, prev, next ref
	inode                     uint32 // shared by hard links
	name                      uint32 // where it starts in names
	made, told                uint32 // when the layer created it, and when it had an entry of its own
	opaque                    uint32 // when the last marker in it was read
	hash                      uint32
	chain                     ref // the next node in the bucket
	length                    uint8
	kind                      Type
	cleared                   cleared
}

// cleared says why the layer's own entries removed what lay below a directory.
type cleared uint8

const (
	byWhiteout cleared = 1 << iota
	byReplacing
)

const (
	blockBits = 10
	blockSize = 1 << blockBits
)

// nodes is a tree of names.
type nodes struct {
	seed maphash.Seed
	all  [][]node // in blocks, so that growing copies nothing
	used int      // including the node that means none
	free ref      // a list of unused nodes, linked by next
	// buckets is a hash table by directory and name. A Go map needs three times the memory. The
	// seed is random, so that nobody can fill a single bucket.
	buckets []ref
	count   int
	text    *text
}

func newNodes(seed maphash.Seed, t *text) *nodes {
	n := &nodes{seed: seed, buckets: make([]ref, 64), text: t}
	n.alloc() // 0 means none
	n.at(n.alloc()).kind = Dir
	return n
}

func (n *nodes) at(r ref) *node { return &n.all[r>>blockBits][r&(blockSize-1)] }

func (n *nodes) alloc() ref {
	if n.free != 0 {
		r := n.free
		n.free = n.at(r).next
		*n.at(r) = node{}
		return r
	}
	if n.used>>blockBits == len(n.all) {
		n.all = append(n.all, make([]node, blockSize))
	}
	n.used++
	return ref(n.used - 1) //nolint:gosec // the limit on entries is far below
}

func (n *nodes) bytes(r ref) []byte {
	d := n.at(r)
	return n.text.get(d.name, int(d.length))
}

func (n *nodes) name(r ref) string { return string(n.bytes(r)) }

// hash mixes a name with its directory.
func (n *nodes) hash(parent ref, name uint64) uint32 {
	const odd = 0x9e3779b1                            // spreads consecutive values
	return uint32(name^name>>32) ^ uint32(parent)*odd //nolint:gosec // as many bits as needed
}

func (n *nodes) bucket(hash uint32) *ref { return &n.buckets[int(hash)&(len(n.buckets)-1)] }

// find returns the node with that name in parent.
func (n *nodes) find(parent ref, name string) ref {
	if parent == 0 {
		return 0
	}
	hash := n.hash(parent, maphash.String(n.seed, name))
	for r := *n.bucket(hash); r != 0; r = n.at(r).chain {
		if d := n.at(r); d.hash == hash && d.parent == parent && string(n.bytes(r)) == name {
			return r
		}
	}
	return 0
}

// enter puts a node into its bucket.
func (n *nodes) enter(r ref) {
	if n.count++; n.count > len(n.buckets) {
		old := n.buckets
		n.buckets = make([]ref, 2*len(old))
		for _, first := range old {
			for r := first; r != 0; {
				d := n.at(r)
				next := d.chain
				b := n.bucket(d.hash)
				d.chain, *b = *b, r
				r = next
			}
		}
	}
	d := n.at(r)
	d.hash = n.hash(d.parent, maphash.Bytes(n.seed, n.bytes(r)))
	b := n.bucket(d.hash)
	d.chain, *b = *b, r
}

// leave takes a node out of its bucket.
func (n *nodes) leave(r ref) {
	n.count--
	at := n.bucket(n.at(r).hash)
	for *at != r {
		at = &n.at(*at).chain
	}
	*at = n.at(r).chain
}

// add creates a node. The name must not exist yet.
func (n *nodes) add(parent ref, name string) (ref, error) {
	at, err := n.text.put(name)
	if err != nil {
		return 0, err
	}
	r := n.alloc()
	d, p := n.at(r), n.at(parent)
	d.parent, d.next, d.name, d.length = parent, p.child, at, uint8(len(name)) //nolint:gosec // at most maxName
	if p.child != 0 {
		n.at(p.child).prev = r
	}
	p.child = r
	n.enter(r)
	return r, nil
}

// remove deletes r and everything below it, and returns the number of nodes deleted.
func (n *nodes) remove(r ref) int {
	count := n.clear(r) + 1
	d := n.at(r)
	n.leave(r)
	if d.prev != 0 {
		n.at(d.prev).next = d.next
	} else {
		n.at(d.parent).child = d.next
	}
	if d.next != 0 {
		n.at(d.next).prev = d.prev
	}
	*d = node{next: n.free}
	n.free = r
	return count
}

// clear deletes everything below r.
func (n *nodes) clear(r ref) int {
	count := 0
	for c := n.at(r).child; c != 0; c = n.at(r).child {
		count += n.remove(c)
	}
	return count
}

// dated reports whether a directory below r had an entry of its own.
func (n *nodes) dated(r ref) bool {
	for c := n.at(r).child; c != 0; c = n.at(c).next {
		if d := n.at(c); d.kind == Dir && (d.told != 0 || n.dated(c)) {
			return true
		}
	}
	return false
}

// path returns the path of r from the root.
func (n *nodes) path(r ref) string {
	var names []string
	for ; r != root; r = n.at(r).parent {
		names = append(names, n.name(r))
	}
	slices.Reverse(names)
	return strings.Join(names, "/")
}

// sorted returns the children of r in the order of their names.
func (n *nodes) sorted(r ref) []ref {
	var all []ref
	for c := n.at(r).child; c != 0; c = n.at(c).next {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b ref) int { return bytes.Compare(n.bytes(a), n.bytes(b)) })
	return all
}

// text holds the bytes of names, one after another.
type text struct {
	blocks [][]byte
	size   int
}

const textBits = 16

func (t *text) put(s string) (uint32, error) {
	if t.size+len(s) > maxNameBytes {
		return 0, tooMany("bytes of names", maxNameBytes)
	}
	if n := len(t.blocks); n == 0 || len(t.blocks[n-1])+len(s) > 1<<textBits {
		t.blocks = append(t.blocks, make([]byte, 0, 1<<textBits))
	}
	b := len(t.blocks) - 1
	at := b<<textBits | len(t.blocks[b])
	t.blocks[b] = append(t.blocks[b], s...)
	t.size += len(s)
	return uint32(at), nil //nolint:gosec // below maxNameBytes
}

func (t *text) get(at uint32, length int) []byte {
	b, i := at>>textBits, int(at&(1<<textBits-1))
	return t.blocks[b][i : i+length]
}

// adopt creates a node in parent that copies from of another tree, without its children.
func (n *nodes) adopt(parent ref, other *nodes, from ref) ref {
	r := n.alloc()
	f, d, p := other.at(from), n.at(r), n.at(parent)
	*d = node{parent: parent, next: p.child, inode: f.inode, name: f.name, length: f.length, kind: f.kind}
	if p.child != 0 {
		n.at(p.child).prev = r
	}
	p.child = r
	n.enter(r)
	return r
}
