package compare

import (
	"bytes"
	_ "embed"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

// The figure's layout, in pixels. A panel is a measure; the plot is the part of it
// that has the dots.
const (
	columns   = 3
	panelWide = 320
	panelHigh = 220
	plotLeft  = 52
	plotTop   = 34
	plotWide  = panelWide - plotLeft - 14
	plotHigh  = panelHigh - plotTop - 44
	lineHigh  = 18
	margin    = 24
)

// colours are those of Okabe and Ito, which people with any colour vision tell apart.
var colours = []string{"#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"}

//go:embed figure.svg.tmpl
var figureText string

// Attributes and texts come from a cluster, and become part of a document that
// browsers open.
var figureTemplate = template.Must(template.New("figure").Funcs(template.FuncMap{"text": escape}).Parse(figureText))

func escape(s string) (string, error) {
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		return "", fmt.Errorf("escaping %q: %w", s, err)
	}
	return b.String(), nil
}

// drawing is what the template draws.
type drawing struct {
	Wide, High  int
	Margin      int
	Title       string
	Lines       []label
	Keys        []key
	Panels      []panel
	PlotWide    float64
	Left, Right float64
	Baseline    float64
	Title0      float64
}

type label struct {
	X, Y float64
	Text string
}

type key struct {
	X, Y   float64
	Colour string
	Text   string
}

type panel struct {
	X, Y   int
	Title  string
	Ticks  []label
	States []label
	Groups []group
}

// group is what one class has in one state.
type group struct {
	Colour string
	Hollow bool
	Dots   []label
	Median label
	// Top is where the median is written, above the dots.
	Top   float64
	Left  float64
	Right float64
}

// WriteSVG draws the report: a panel for each measure that the node told, in it a dot
// for each run, a line at the median of each class, and the zero. The report must be
// summarised.
func (r *Report) WriteSVG(w io.Writer) error {
	d := drawing{
		Wide: columns*panelWide + 2*margin, Margin: margin,
		Title:  "What isolation costs",
		Left:   plotLeft,
		Right:  plotLeft + plotWide,
		Title0: 18,
	}
	y := float64(margin + 2*lineHigh)
	for _, text := range []string{r.Image, "on " + r.Node.String()} {
		d.Lines = append(d.Lines, label{margin, y, text})
		y += lineHigh
	}
	for i := range r.Classes {
		d.Keys = append(d.Keys, key{margin, y, colour(i), fmt.Sprintf("%s, %d runs", &r.Classes[i], len(r.Classes[i].Runs))})
		y += lineHigh
	}
	top := int(y)
	states := r.states()
	for _, m := range measures {
		p := r.panel(m, states)
		if len(p.Groups) == 0 {
			continue
		}
		i := len(d.Panels)
		p.X, p.Y = margin+i%columns*panelWide, top+i/columns*panelHigh
		d.Panels = append(d.Panels, p)
	}
	rows := (len(d.Panels) + columns - 1) / columns
	y = float64(top + rows*panelHigh + lineHigh)
	for _, text := range append([]string{
		"A dot is a run, the line their median. warm: the step images are on the node; cold: it pulls them.",
	}, r.Notes...) {
		for _, line := range wrap(text, 150) {
			d.Lines = append(d.Lines, label{margin, y, line})
			y += lineHigh
		}
	}
	d.High = int(y) + margin - lineHigh
	if err := figureTemplate.Execute(w, d); err != nil {
		return fmt.Errorf("drawing the figure: %w", err)
	}
	return nil
}

func colour(i int) string { return colours[i%len(colours)] }

// states are those that there are runs of.
func (r *Report) states() []State {
	var found []State
	for _, state := range []State{Warm, Cold} {
		for i := range r.Classes {
			if len(r.Classes[i].values(state, measures[0])) > 0 {
				found = append(found, state)
				break
			}
		}
	}
	return found
}

func (r *Report) panel(m measure, states []State) panel {
	top := 0.0
	for i := range r.Classes {
		for _, state := range states {
			top = max(top, r.Classes[i].Summary[state][m.name].Most)
		}
	}
	unit, size := m.unit(top)
	top = niceTop(top / size * 1.15) // room for what is written above the dots
	height := func(v float64) float64 { return plotTop + plotHigh*(1-v/size/top) }
	p := panel{Title: m.title + ", " + unit}
	slot := float64(plotWide) / float64(len(states)*len(r.Classes))
	for s, state := range states {
		p.States = append(p.States, label{plotLeft + slot*float64(len(r.Classes))*(float64(s)+0.5), plotTop + plotHigh + lineHigh, string(state)})
		for i := range r.Classes {
			values := r.Classes[i].values(state, m)
			if len(values) == 0 {
				continue
			}
			centre := plotLeft + slot*(float64(s*len(r.Classes)+i)+0.5)
			half := min(slot*0.32, 30)
			median := r.Classes[i].Summary[state][m.name].Median
			g := group{Colour: colour(i), Hollow: state == Cold, Left: centre - half, Right: centre + half}
			g.Median = label{centre, height(median), figure(median / size)}
			g.Top = height(slices.Max(values)) - 9
			for n, v := range values {
				// Side by side, in the order of the runs, so that equal ones are all seen.
				x := centre + half*0.8*(2*(float64(n)+0.5)/float64(len(values))-1)
				g.Dots = append(g.Dots, label{X: x, Y: height(v)})
			}
			p.Groups = append(p.Groups, g)
		}
	}
	for _, tick := range []float64{0, top / 2, top} {
		p.Ticks = append(p.Ticks, label{plotLeft - 6, height(tick * size), strconv.FormatFloat(tick, 'g', 4, 64)})
	}
	return p
}

// wrap breaks a text into lines of at most so many characters, between words.
func wrap(text string, most int) []string {
	var broken []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > most {
			broken = append(broken, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(broken, line)
}
