//! What a project is: a content-addressed, versioned, mergeable store.

pub mod backend;
pub mod chunk;
pub mod node;
pub mod tree;
