package layers

import (
	"archive/tar"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// Random stacks are of four sorts, by turns. Tidy ones hold what build tools write,
// and are the measure of false alarms. Loose ones are tidy but for one entry in six;
// wild ones obey no rule; dense ones have so few names that everything meets.
var sorts = []string{"tidy", "loose", "wild", "dense"}

// randomStack returns the stack of a seed and a number, always the same.
func randomStack(seed uint64, number int) stack {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, uint64(number))), tree: map[string]string{}}
	sort := sorts[number%len(sorts)]
	s := stack{name: fmt.Sprintf("random/%d/%d-%s", seed, number, sort)}
	for range 1 + g.IntN(5) {
		switch sort {
		case "tidy":
			s.layers = append(s.layers, of(g.tidy(0)...))
		case "loose":
			s.layers = append(s.layers, of(g.tidy(6)...))
		case "dense":
			s.layers = append(s.layers, of(g.dense()...))
		default:
			s.layers = append(s.layers, of(g.wild()...))
		}
	}
	return s
}

type generator struct {
	*rand.Rand
	tree  map[string]string // what lower layers made: path to kind
	count int
}

func pick[T any](g *generator, all ...T) T { return all[g.IntN(len(all))] }

func (g *generator) text() string {
	g.count++
	return fmt.Sprintf("%d", g.count)
}

// The small universe in which entries meet.
var (
	dirNames  = []string{"d", "e", "d/s", "usr", "usr/lib", "var"}
	baseNames = []string{"a", "b", "c", "x", "l"}
	oddNames  = []string{
		"./a", "/a", "d//a", "d/./a", "d/../a", "../a", "d/s/../../../a", "./d/a", "/d/s/a", ".", "./", "/", "d/..", "d/.",
		"\xe4\xff", "d/\xe4.jar", "a ", "A", "d\\a", "\u00e4", "a\u0308", strings.Repeat("n", 101), strings.Repeat("d/", 60) + "deep",
		strings.Repeat("w", 255), "m/i/s/s/i/n/g", "a/b", "a/b/c", "l/a", "l/b", "l/s/a", "d/l/a", "d/l/x/y", "x/a",
	}
	whiteoutNames = []string{
		".wh..wh..opq", ".wh..wh..opq", ".wh..wh..opq", ".wh.a", ".wh.d", ".wh.l", ".wh.x", ".wh.s", ".wh.var", ".wh.b", ".wh.c",
		".wh.usr", ".wh.e", ".wh.lib",
	}
	// Some runtimes refuse most of these.
	oddWhiteouts = []string{
		".wh.", ".wh..", ".wh...", ".wh..wh.a", ".wh..wh.", ".wh..wh.plnk", ".wh..wh.aufs", ".wh..wh.plnk/1", ".wh.a/b",
	}
	targets = []string{
		"a", "b", "../a", "/a", "d", "/d", "../d", ".", "/", "..", "../..", "../../../../a", "l", "/l", "d/l", "missing",
		"/missing/x", "s", "d/s", "/usr", "lib", "./d/", "x", "\xe4", "/proc/self/root", "d/../a",
	}
	xattrNames = []string{
		"trusted.overlay.opaque", "trusted.overlay.redirect", "trusted.overlay.metacopy", "trusted.overlay.whiteout",
		"trusted.overlay.origin", "trusted.overlay.overlay.opaque", "user.overlay.opaque", "user.overlay.whiteout", "user.a", "trusted.a",
		"security.capability",
	}
	xattrValues = []string{"y", "x", "", "/d", "d", "/a", "a"}
)

func (g *generator) base() string { return pick(g, baseNames...) }

// name is the name of an entry of a wild layer.
func (g *generator) name() string {
	switch n := g.IntN(20); {
	case n < 7:
		return g.base()
	case n < 15:
		return path.Join(pick(g, dirNames...), g.base())
	case n < 17:
		return pick(g, dirNames...)
	default:
		return pick(g, oddNames...)
	}
}

func (g *generator) wild() []entry {
	var out []entry
	for range 1 + g.IntN(5) {
		out = append(out, g.odd(out))
	}
	if g.IntN(4) == 0 { // the same in another order
		g.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	return out
}

// dense is a layer of a few entries of a few names.
func (g *generator) dense() []entry {
	names := []string{"a", "d", "d/a", "d/b", "l", "l/a", "l/d", "d/l", "d/l/a", "d/d", "d/d/a"}
	var out []entry
	for range 1 + g.IntN(4) {
		name := pick(g, names...)
		switch n := g.IntN(20); {
		case n < 6:
			out = append(out, file(name, g.text()))
		case n < 10:
			out = append(out, dir(pick(g, "d", "d/d", "l", "a", name)))
		case n < 13:
			out = append(out, symlink(pick(g, "l", "d/l", "l", name), pick(g, "d", "/d", ".", "..", "d/d", "../d", "a", "l", "/")))
		case n < 14 && len(out) > 0:
			out = append(out, hard(name, strings.TrimSuffix(pick(g, out...).name, "/")))
		case n < 17:
			out = append(out, file(path.Join(path.Dir(name), ".wh."+path.Base(name)), ""))
		case n < 19:
			out = append(out, file(pick(g, "d", "l", "d/d", "d/l", "d", ".")+"/.wh..wh..opq", ""))
		default:
			out = append(out, char(name, 0, 0))
		}
	}
	return out
}

// odd is an entry that obeys no rule, after others of its layer.
func (g *generator) odd(before []entry) entry {
	e := g.oddEntry(before)
	if e.raw == nil && (e.typ == tar.TypeReg || e.typ == tar.TypeDir) && g.IntN(10) == 0 {
		e = e.with(pick(g, xattrNames...), pick(g, xattrValues...))
	}
	if g.IntN(12) == 0 {
		e.mode = pick(g, int64(0o4755), 0o2755, 0o1777, 0o600, 0o700, 0o444, 0o100644, 0o7777)
	}
	if !utf8.ValidString(e.name+e.link) && len(e.xattrs) == 0 {
		e.format = tar.FormatGNU
	}
	return e
}

func (g *generator) oddEntry(before []entry) entry {
	switch n := g.IntN(64); {
	case n < 20:
		return file(g.name(), g.text())
	case n < 28:
		return dir(g.name())
	case n < 36:
		return symlink(pick(g, "l", g.name()), pick(g, targets...))
	case n < 42:
		// A link to what is not there is refused by all, and says nothing more.
		to := pick(g, g.name(), pick(g, targets...))
		linkable := slices.DeleteFunc(slices.Clone(before), func(e entry) bool {
			return e.typ == tar.TypeDir || e.typ == tar.TypeXGlobalHeader || strings.Contains(e.name, ".wh.")
		})
		if len(linkable) > 0 {
			if g.IntN(8) > 0 {
				to = pick(g, linkable...).name
			}
		} else if g.IntN(4) > 0 {
			return file(g.name(), g.text())
		}
		return hard(g.name(), to)
	case n < 53:
		return file(path.Join(pick(g, "", "", "l", pick(g, dirNames...), pick(g, dirNames...)), pick(g, whiteoutNames...)), "")
	case n < 54:
		return file(path.Join(pick(g, "", pick(g, dirNames...)), pick(g, oddWhiteouts...)), "")
	case n < 55:
		e := file(pick(g, "", "d/", "l/")+pick(g, whiteoutNames...), "")
		e.typ = pick[byte](g, tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeFifo)
		if e.typ == tar.TypeSymlink || e.typ == tar.TypeLink {
			e.link = pick(g, targets...)
		}
		return e
	case n < 58:
		return char(g.name(), pick[int64](g, 0, 0, 1), pick[int64](g, 0, 0, 3))
	case n < 59:
		return entry{typ: tar.TypeBlock, name: g.name(), major: pick[int64](g, 0, 7), minor: pick[int64](g, 0, 1)}
	case n < 60 && g.IntN(3) == 0: // a pipe that is replaced costs two seconds
		return fifo(g.name())
	case n < 62:
		return file(g.name()+"/", "")
	default:
		return g.rareEntry()
	}
}

// rareEntry is of a form that few tools write, and that some runtimes refuse.
func (g *generator) rareEntry() entry {
	switch g.IntN(10) {
	case 0:
		return sparse(g.name(), g.text())
	case 1:
		return entry{typ: tar.TypeCont, name: g.name(), text: g.text(), format: tar.FormatGNU}
	case 2, 3:
		return global("path", g.name())
	case 4, 5:
		return rawPAX(file(g.base(), g.text()), "path", g.name())
	case 6, 7:
		return sparsePAX(g.name(), g.text())
	default:
		return oldFile(g.name(), g.text())
	}
}

// tidy is a layer as build tools write one. One entry in loose is odd, if it is not zero.
func (g *generator) tidy(loose int) []entry {
	var out []entry
	own := map[string]string{}
	emit := func(e entry, kind string) {
		if loose > 0 && g.IntN(loose) == 0 {
			out = append(out, g.odd(out))
		}
		out = append(out, e)
		own[strings.TrimSuffix(e.name, "/")] = kind
	}
	removed := map[string]bool{}
	for range 1 + g.IntN(6) {
		lower := slices.Sorted(maps.Keys(g.tree))
		if len(lower) > 0 && g.IntN(4) == 0 {
			if p := pick(g, lower...); own[p] == "" && !g.covers(own, p) && !g.under(removed, p) && !g.touches(own, p) && !g.above(removed, p) {
				removed[p] = true
				out = append(out, file(path.Join(path.Dir(p), ".wh."+path.Base(p)), ""))
			}
			continue
		}
		parent := pick(g, "", "", pick(g, dirNames...))
		if !g.parents(parent, own, removed, emit) {
			continue
		}
		g.tidyEntry(parent, own, removed, emit)
	}
	for p := range removed {
		maps.DeleteFunc(g.tree, func(q, _ string) bool { return q == p || strings.HasPrefix(q, p+"/") })
	}
	for p, kind := range own {
		if kind != "dir" {
			maps.DeleteFunc(g.tree, func(q, _ string) bool { return strings.HasPrefix(q, p+"/") })
		}
		g.tree[p] = kind
	}
	return out
}

// tidyEntry adds one entry below parent, which is there.
func (g *generator) tidyEntry(parent string, own map[string]string, removed map[string]bool, emit func(entry, string)) {
	p := path.Join(parent, g.base())
	if own[p] != "" || g.covers(own, p) || g.under(removed, p) {
		return
	}
	files := slices.Sorted(maps.Keys(own))
	files = slices.DeleteFunc(files, func(p string) bool { return own[p] != "file" })
	switch n := g.IntN(12); {
	case n < 7:
		e := file(p, g.text())
		if g.IntN(8) == 0 {
			e.mode = 0o4755
		}
		emit(e, "file")
	case n < 9:
		emit(symlink(p, pick(g, targets...)), "symlink")
	case n < 10 && len(files) > 0:
		emit(hard(p, pick(g, files...)), "file")
	case n < 11 && g.tree[p] == "": // no build tool puts one in the place of a file
		emit(char(p, 1, 3), "device")
	default:
		emit(file(p, ""), "file")
	}
}

// parents adds directories as build tools do, and says whether parent is then one.
func (g *generator) parents(parent string, own map[string]string, removed map[string]bool, emit func(entry, string)) bool {
	if parent == "" {
		return true
	}
	if !g.parents(strings.TrimPrefix(path.Dir("/"+parent), "/"), own, removed, emit) || g.under(removed, parent) {
		return false
	}
	kind := own[parent]
	if kind == "" {
		// Some tools write a directory for every parent, others only for new ones.
		if kind = g.tree[parent]; kind == "" || kind == "dir" && g.IntN(2) == 0 {
			emit(dir(parent), "dir")
			kind = "dir"
		}
	}
	return kind == "dir"
}

func (g *generator) under(all map[string]bool, p string) bool {
	for q := range all {
		if p == q || strings.HasPrefix(p, q+"/") {
			return true
		}
	}
	return false
}

// covers reports whether p is below what the layer has that is no directory.
func (g *generator) covers(own map[string]string, p string) bool {
	for q, kind := range own {
		if kind != "dir" && strings.HasPrefix(p, q+"/") {
			return true
		}
	}
	return false
}

// touches reports whether the layer has something below p.
func (g *generator) touches(own map[string]string, p string) bool {
	for q := range own {
		if strings.HasPrefix(q, p+"/") {
			return true
		}
	}
	return false
}

// above reports whether p is above one of all.
func (g *generator) above(all map[string]bool, p string) bool {
	for q := range all {
		if strings.HasPrefix(q, p+"/") {
			return true
		}
	}
	return false
}
