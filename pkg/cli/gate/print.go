package gate

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/cli/command"
)

// columns are those of the table, which has a line for each image and gate.
var columns = []command.Column[*Image]{
	{Header: "OBJECT", Cell: func(i *Image) string { return i.Object }},
	{Header: "IMAGE", Cell: name},
	{Header: "GATE", Cell: func(i *Image) string { return i.Gate }},
	{Header: "MODE", Cell: func(i *Image) string { return string(i.Mode) }},
	{Header: "STANDING", Cell: func(i *Image) string { return i.Standing }},
	{Header: "HAPPENS", Cell: func(i *Image) string { return happens(i.Happens) }},
	{Header: "EXPIRES", Cell: func(i *Image) string { return i.expiresIn }},
}

func happens(h Happens) string { return cmp.Or(string(h), "NOT KNOWN") }

// name shows enough of a digest for people.
func name(i *Image) string {
	const enough = len("@sha256:") + 8
	s := cmp.Or(i.Name, i.Image)
	if i.Pinned != "" {
		s += "@" + i.Pinned
	}
	if at := strings.IndexByte(s, '@'); at >= 0 && len(s) > at+enough {
		s = s[:at+enough]
	}
	return s
}

func printReport(w io.Writer, r *Report) error {
	rows := make([]*Image, len(r.Images))
	for i := range r.Images {
		rows[i] = &r.Images[i]
	}
	if err := command.PrintTable(w, columns, 0, rows); err != nil {
		return err
	}
	var b strings.Builder
	for _, i := range rows {
		if i.Why == "" && i.Disagreement == "" {
			continue
		}
		line(&b, "\n%s, %s: %s", i.Object, i.Field, i.Image)
		line(&b, "  %s: %s", said(i), i.Why)
		if i.Disagreement != "" {
			line(&b, "  the API server disagrees: %s", i.Disagreement)
		}
		if i.Cure != "" {
			line(&b, "  cure: %s", i.Cure)
		}
	}
	if len(r.Notes)+len(r.Other) > 0 {
		b.WriteByte('\n')
	}
	for _, note := range r.Notes {
		line(&b, "%s", note)
	}
	if len(r.Other) > 0 {
		var kinds []string
		for _, kind := range slices.Sorted(maps.Keys(r.Other)) {
			kinds = append(kinds, fmt.Sprintf("%d %s", r.Other[kind], kind))
		}
		line(&b, "Nothing in these is a Pod's template: %s.", strings.Join(kinds, ", "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// line adds one line. What strangers wrote must not imitate others.
func line(b *strings.Builder, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if lead, rest, ok := strings.Cut(text, "\n"); ok && lead == "" {
		b.WriteByte('\n')
		text = rest
	}
	b.WriteString(command.Printable(text) + "\n")
}

// said says what becomes of an image, and what would in Deny.
func said(i *Image) string {
	s := happens(i.Happens)
	if i.Gate != "" {
		s += " by gate " + i.Gate
	}
	if i.InDeny == Refused && i.Happens != Refused {
		s += ", and refused in mode Deny"
	}
	return s
}
