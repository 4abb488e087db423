//! What a project is: a content-addressed, versioned, mergeable store.

// The folder of a project is made, and its number told, here.
#[allow(clippy::disallowed_methods)]
pub mod project;
pub mod tx;
pub mod view;

pub mod changes;
pub mod history;
pub mod invariants;
pub mod overlay;
pub mod refs;
pub mod rev;
pub mod variant;
pub mod version;

pub mod conflict;
pub mod diff;
pub mod merge;

pub mod index;
pub mod snapshot;
pub mod staging;

pub mod backend;
pub mod base64;
// Blobs and cached renders are files.
#[allow(clippy::disallowed_methods)]
pub mod blob;
#[allow(clippy::disallowed_methods)]
pub mod cache;
pub mod chunk;
pub mod codec;
#[allow(clippy::disallowed_methods, reason = "it checks and repairs files")]
pub mod fsck;
pub mod gc;
pub mod journal;
pub mod node;
pub mod repo;
pub mod tree;
