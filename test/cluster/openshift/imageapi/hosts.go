package imageapi

import imagev1 "github.com/openshift/api/image/v1"

// Hosts are the names under which the registry is known.
type Hosts struct {
	// InCluster is the host:port in dockerImageRepository and in references to images.
	InCluster string
	// Public is the host:port for clients outside of the cluster. Empty: there is none.
	Public string
}

// Reference is how an image of a stream is pulled inside the cluster.
func (h Hosts) Reference(namespace, name, image string) string {
	return h.InCluster + "/" + namespace + "/" + name + "@" + image
}

func (h Hosts) reference(stream *imagev1.ImageStream, image string) string {
	return h.Reference(stream.Namespace, stream.Name, image)
}

// locate fills in where the stream's images are.
func (h Hosts) locate(stream *imagev1.ImageStream) {
	path := "/" + stream.Namespace + "/" + stream.Name
	stream.Status.DockerImageRepository = h.InCluster + path
	stream.Status.PublicDockerImageRepository = ""
	if h.Public != "" {
		stream.Status.PublicDockerImageRepository = h.Public + path
	}
}
