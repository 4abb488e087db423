//! One list for a node's parameters: the descriptors and the names their indices
//! go by cannot drift apart.

/// Defines `static $table: &[ParamDesc]` and an enum of the indices into it.
macro_rules! parameters {
    ($table:ident, $index:ident { $($name:ident => $desc:expr,)* }) => {
        static $table: &[$crate::param::ParamDesc] = &[$($desc),*];

        #[derive(Clone, Copy)]
        enum $index { $($name),* }
    };
}
pub(crate) use parameters;
