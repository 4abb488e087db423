//! What a project is: a content-addressed, versioned, mergeable store.

pub mod backend;
pub mod chunk;
pub mod codec;
pub mod gc;
pub mod journal;
pub mod node;
pub mod repo;
pub mod tree;
