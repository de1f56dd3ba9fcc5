package guard

import (
	"fmt"
	"time"

	"github.com/anchore/grype/grype/distro"
	"github.com/anchore/grype/grype/vulnerability"

	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// supportEnds are the days on which distributions end general support for a release. They apply if
// the database gives no day. The image's own claim counts only if nobody else gives a day.
var supportEnds = map[string]string{
	"alpine:3.10": "2021-05-01", "alpine:3.11": "2021-11-01", "alpine:3.12": "2022-05-01", "alpine:3.13": "2022-11-01",
	"alpine:3.14": "2023-05-01", "alpine:3.15": "2023-11-01", "alpine:3.16": "2024-05-23", "alpine:3.17": "2024-11-22",
	"alpine:3.18": "2025-05-09", "alpine:3.19": "2025-11-01", "alpine:3.20": "2026-04-01", "alpine:3.21": "2026-11-01",
	"amzn:2018": "2023-12-31", "amzn:2": "2026-06-30",
	"centos:5": "2017-03-31", "centos:6": "2020-11-30", "centos:7": "2024-06-30", "centos:8": "2024-05-31",
	"debian:7": "2018-05-31", "debian:8": "2020-06-30", "debian:9": "2022-06-30", "debian:10": "2024-06-30", "debian:11": "2026-08-31",
	"debian:12": "2028-06-30", "debian:13": "2030-06-30",
	"rhel:5": "2017-03-31", "rhel:6": "2020-11-30", "rhel:7": "2024-06-30",
	"ubuntu:12.04": "2017-04-28", "ubuntu:14.04": "2019-04-25", "ubuntu:16.04": "2021-04-30", "ubuntu:18.04": "2023-05-31",
	"ubuntu:20.04": "2025-05-31", "ubuntu:22.04": "2027-04-01", "ubuntu:24.04": "2029-04-25",
	"ubuntu:23.10": "2024-07-11", "ubuntu:24.10": "2025-07-10", "ubuntu:25.04": "2026-01-15", "ubuntu:25.10": "2026-07-01",
}

// supportEnd returns the end of general support for a release, or zero if it is unknown.
func (c *Coverage) supportEnd(d *distro.Distro, r *result.Release) (time.Time, error) {
	if asked, ok := c.provider.(vulnerability.EOLChecker); ok {
		end, _, err := asked.GetOperatingSystemEOL(d)
		if err != nil {
			return time.Time{}, fmt.Errorf("ask the database for the end of %s: %w", d, err)
		}
		if end != nil {
			return *end, nil
		}
	}
	for _, version := range []string{d.MajorVersion() + "." + d.MinorVersion(), d.MajorVersion()} {
		if day, ok := supportEnds[r.ID+":"+version]; ok {
			return time.Parse(time.DateOnly, day)
		}
	}
	if d.SupportEnd != nil {
		return *d.SupportEnd, nil
	}
	return time.Time{}, nil
}

// unsupported returns the message about the end of support if it is over.
func (c *Coverage) unsupported(d *distro.Distro, r *result.Release, name string, now time.Time) (string, error) {
	end, err := c.supportEnd(d, r)
	if err != nil || end.IsZero() || now.Before(end) {
		return "", err
	}
	if d.Type == distro.Ubuntu {
		if r.Extended {
			return "", nil // the image is configured for subscribers' fixes
		}
		return fmt.Sprintf("fixes for %s have been for subscribers of Ubuntu Pro only since %s, so known vulnerabilities may stay without a fix for ever; "+
			"build the image on a supported release", name, end.Format(time.DateOnly)), nil
	}
	return fmt.Sprintf("the distribution ended its support for %s on %s, so no new vulnerabilities are recorded for it; "+
		"build the image on a supported release", name, end.Format(time.DateOnly)), nil
}
