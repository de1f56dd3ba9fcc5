package imageapi

import (
	"context"
	"strings"

	imagev1 "github.com/openshift/api/image/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metatable "k8s.io/apimachinery/pkg/api/meta/table"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// streamTable is what kubectl prints of streams, with the columns of OpenShift's client.
type streamTable struct{}

// ConvertToTable makes one row for each stream.
func (streamTable) ConvertToTable(_ context.Context, obj, _ runtime.Object) (*metav1.Table, error) {
	table := &metav1.Table{ColumnDefinitions: []metav1.TableColumnDefinition{
		{Name: "Name", Type: "string", Format: "name", Description: "Name of the stream."},
		{Name: "Image Repository", Type: "string", Description: "Where images are pushed to."},
		{Name: "Tags", Type: "string", Description: "Tags of the stream."},
		{Name: "Updated", Type: "string", Description: "Time since the newest push."},
	}}
	if list, err := meta.ListAccessor(obj); err == nil {
		table.ResourceVersion, table.Continue = list.GetResourceVersion(), list.GetContinue()
	}
	var err error
	table.Rows, err = metatable.MetaToTableRow(obj, func(obj runtime.Object, _ metav1.Object, name, _ string) ([]any, error) {
		stream, ok := obj.(*imagev1.ImageStream)
		if !ok {
			return []any{name, "", "", ""}, nil
		}
		return []any{name, repository(stream), tagNames(stream), updated(stream)}, nil
	})
	return table, err
}

func repository(stream *imagev1.ImageStream) string {
	if public := stream.Status.PublicDockerImageRepository; public != "" {
		return public
	}
	return stream.Status.DockerImageRepository
}

func tagNames(stream *imagev1.ImageStream) string {
	var all []string
	for _, t := range stream.Status.Tags {
		all = append(all, t.Tag)
	}
	return strings.Join(all, ",")
}

func updated(stream *imagev1.ImageStream) string {
	var newest metav1.Time
	for _, t := range stream.Status.Tags {
		if len(t.Items) > 0 && newest.Before(&t.Items[0].Created) {
			newest = t.Items[0].Created
		}
	}
	if newest.IsZero() {
		return ""
	}
	return metatable.ConvertToHumanReadableDateType(newest) + " ago"
}
