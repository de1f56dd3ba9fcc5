package main

import (
	_ "github.com/anchore/grype/grype"
	_ "github.com/anchore/grype/grype/matcher"
	_ "github.com/anchore/grype/grype/db/v6"
	_ "github.com/anchore/grype/grype/db/v6/build"
	_ "github.com/anchore/syft/syft"
	_ "github.com/anchore/syft/syft/format/cyclonedxjson"
	_ "github.com/anchore/stereoscope/pkg/filetree"
	_ "github.com/google/go-containerregistry/pkg/v1/remote"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/glebarez/sqlite"
)
