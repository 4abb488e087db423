//! What a project is: a content-addressed, versioned, mergeable store.
