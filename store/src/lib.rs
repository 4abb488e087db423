//! What a project is: a content-addressed, versioned, mergeable store.

pub mod backend;
// Blobs and cached renders are files.
#[allow(clippy::disallowed_methods)]
pub mod blob;
#[allow(clippy::disallowed_methods)]
pub mod cache;
pub mod chunk;
pub mod codec;
pub mod gc;
pub mod journal;
pub mod node;
pub mod repo;
pub mod tree;
pub mod index;
pub mod view;
