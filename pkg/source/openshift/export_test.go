package openshift

// PageBytes is how large a page of a list may be.
const PageBytes = pageBytes
