//! From a parameter's name to a message: names, ranges and indices are resolved
//! here, off the audio thread, against the kind that the plan runs.

use pulse_schemas::graph::NodeKey;

use super::events::Act;
use crate::plan::Plan;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    #[error("nothing that plays is called {node}; load the project again")]
    UnknownNode { node: NodeKey },
    #[error("{kind} has no parameter {param:?}; `pulse schema` lists them")]
    UnknownParam { kind: String, param: String },
    #[error("{param:?} changes the layout of {kind}; edit the project and load it again")]
    Layout { kind: String, param: String },
}

/// The act that sets a parameter, in native units and clamped by its rule.
pub fn resolve(plan: &Plan, node: NodeKey, param: &str, value: f64) -> Result<Act, ParamError> {
    let at = plan.find(node).ok_or(ParamError::UnknownNode { node })?;
    let class = plan.class(at);
    let unknown =
        || ParamError::UnknownParam { kind: class.kind_name.clone(), param: param.to_owned() };
    let descriptor = class.kind.map(|kind| kind.descriptor).ok_or_else(unknown)?;
    let index = descriptor.param_index(param).ok_or_else(unknown)?;
    let desc = &descriptor.params[index];
    if desc.layout {
        return Err(ParamError::Layout { kind: class.kind_name.clone(), param: param.to_owned() });
    }
    Ok(Act::Param { node, param: index as u32, value: desc.clamp(value) })
}
