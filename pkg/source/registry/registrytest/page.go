package registrytest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// page answers one page of a list, as short as odd says.
func (o *Odd) page(r *http.Request, odd Oddities) *recorded {
	whole := r.Clone(context.WithoutCancel(r.Context()))
	whole.URL.RawQuery = "n=1000000"
	a := o.ask(whole)
	if a.status != http.StatusOK {
		return a
	}
	key := "tags"
	if listPath.FindStringSubmatch(r.URL.Path)[1] == "" {
		key = "repositories"
	}
	var names map[string]json.RawMessage
	var all []string
	if json.Unmarshal(a.body.Bytes(), &names) != nil || json.Unmarshal(names[key], &all) != nil {
		return a
	}
	slices.Sort(all)
	from := 0
	if last := r.URL.Query().Get("last"); last != "" {
		i, found := slices.BinarySearch(all, last)
		if from = i; found {
			from++
		}
	}
	skip, _ := strconv.Atoi(r.URL.Query().Get("empty"))
	size := len(all)
	if odd.Page > 0 {
		size = odd.Page
	}
	to := min(from+size, len(all))
	query := url.Values{"last": r.URL.Query()["last"]}
	if skip < odd.EmptyPages {
		to = from
		query.Set("empty", strconv.Itoa(skip+1))
	} else if to > from {
		query.Set("last", all[to-1])
	}
	a.header.Del("Link")
	if link := link(r, odd.Link, query); link != "" && (to < len(all) || odd.Link == Circle) {
		a.header.Set("Link", link)
	}
	names[key], _ = json.Marshal(append([]string{}, all[from:to]...))
	a.body.Reset()
	_ = json.NewEncoder(&a.body).Encode(names)
	a.header.Del("Content-Length")
	return a
}

func link(r *http.Request, how Link, query url.Values) string {
	target := r.URL.Path + "?" + query.Encode()
	switch how {
	case Absolute:
		target = scheme(r) + "://" + r.Host + target
	case OtherHost:
		target = "http://registry.internal:5000" + target
	case Bare:
		return target + `; rel="next"`
	case ByQuery:
		target = "?" + query.Encode()
	case Circle:
		target = r.URL.RequestURI()
	case NoLink:
		return ""
	case Relative:
	}
	return fmt.Sprintf(`<%s>; rel="next"`, target)
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}
