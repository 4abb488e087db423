//! Parameters of whatever has some: nodes, channels, sends.
//!
//! Commands, groups, links, automation and gestures name a parameter in the
//! same way, as an entity and a name, so they all look it up here.

use pulse_engine::{
    param::{Curve, ParamDesc, Unit},
    registry::Registry,
};
use pulse_schemas::{
    command::node::ParameterInfo,
    entity::{AnyEntity, ParameterRef},
    error::ErrorCode,
    id::{AnyId, EntityKind},
};
use serde_json::Value;

use super::edit::Edit;
use crate::refusal::Refusal;

const GAIN: ParamDesc =
    ParamDesc::new("gainDb", "Gain", Unit::Decibel, (-144.0, 24.0), 0.0).power(0.5);
const PAN: ParamDesc = ParamDesc::new("pan", "Pan", Unit::None, (-1.0, 1.0), 0.0);

/// What can be turned on a channel. Names are those of the entity's fields.
const CHANNEL: &[ParamDesc] = &[
    GAIN,
    PAN,
    ParamDesc::new("width", "Width", Unit::None, (0.0, 2.0), 1.0),
    ParamDesc::switch("mute", "Mute", false),
    ParamDesc::switch("invertLeft", "Invert left", false),
    ParamDesc::switch("invertRight", "Invert right", false),
];

const SEND: &[ParamDesc] = &[GAIN, PAN, ParamDesc::switch("mute", "Mute", false)];

/// An entity with parameters.
#[derive(Clone, Debug)]
pub struct Target {
    pub entity: AnyEntity,
    /// None: a kind that this Pulse doesn't know, whose parameters are free.
    pub params: Option<&'static [ParamDesc]>,
}

impl Target {
    pub fn of(entity: AnyEntity, registry: &Registry) -> Result<Target, Refusal> {
        let params = match &entity {
            AnyEntity::Channel(_) => Some(CHANNEL),
            AnyEntity::Send(_) => Some(SEND),
            AnyEntity::DspNode(node) => {
                registry.get(&node.node_kind).map(|kind| kind.descriptor.params)
            }
            other => return Err(no_parameters(other.any_id())),
        };
        Ok(Target { entity, params })
    }

    pub fn id(&self) -> AnyId {
        self.entity.any_id()
    }

    /// The description of a parameter; none where any name will do.
    pub fn desc(&self, name: &str) -> Result<Option<&'static ParamDesc>, Refusal> {
        let Some(params) = self.params else { return Ok(None) };
        let found = params.iter().find(|param| param.id == name);
        found.map(Some).ok_or_else(|| {
            let known: Vec<&str> = params.iter().map(|param| param.id).collect();
            let text = format!("{} has no parameter `{name}`", label(&self.entity));
            Refusal::new(ErrorCode::ParameterUnknown, text)
                .with("entity", self.id().to_string())
                .with("parameters", known)
        })
    }

    /// What the project says; none is the default.
    pub fn stored(&self, name: &str) -> Option<f64> {
        match &self.entity {
            AnyEntity::DspNode(node) => node.params.get(name).copied(),
            entity => match entity.fields().get(name)? {
                Value::Bool(on) => Some(f64::from(u8::from(*on))),
                value => value.as_f64(),
            },
        }
    }

    /// The value that plays.
    pub fn value(&self, name: &str) -> Result<f64, Refusal> {
        let default = self.desc(name)?.map_or(0.0, |desc| desc.default);
        Ok(self.stored(name).unwrap_or(default))
    }

    /// A value as it may be written: within the range, whole where steps are.
    pub fn checked(&self, name: &str, value: f64) -> Result<f64, Refusal> {
        match self.desc(name)? {
            Some(desc) => in_range(desc, value),
            None => Ok(value),
        }
    }

    /// Writes a value; none goes back to the default.
    pub fn set(&mut self, name: &str, value: Option<f64>) -> Result<(), Refusal> {
        let desc = self.desc(name)?;
        match &mut self.entity {
            AnyEntity::DspNode(node) => {
                match value {
                    Some(value) => node.params.insert(name.to_owned(), value),
                    None => node.params.remove(name),
                };
            }
            entity => {
                let value = value.unwrap_or(desc.map_or(0.0, |desc| desc.default));
                let switch = desc.is_some_and(|desc| desc.unit == Unit::Switch);
                let value = if switch { Value::Bool(value >= 0.5) } else { value.into() };
                let mut fields = entity.fields();
                fields.insert(name.to_owned(), value);
                (*entity, _) = AnyEntity::from_fields(entity.kind(), fields)?;
            }
        }
        Ok(())
    }
}

impl Edit<'_, '_> {
    pub fn target(&mut self, id: AnyId) -> Result<Target, Refusal> {
        if !has_parameters(id.kind) {
            return Err(no_parameters(id));
        }
        let entity = self.tx.any(id)?.ok_or_else(|| Refusal::not_found(id))?;
        Target::of(entity, self.registry)
    }

    /// The target of a reference whose parameter exists.
    pub fn parameter(&mut self, parameter: &ParameterRef) -> Result<Target, Refusal> {
        let Some(id) = parameter.target else {
            let text = "name the node, channel or send whose parameter it is";
            return Err(Refusal::new(ErrorCode::PayloadInvalid, text).with("path", "target"));
        };
        let target = self.target(id)?;
        target.desc(&parameter.parameter)?;
        Ok(target)
    }
}

pub fn has_parameters(kind: EntityKind) -> bool {
    matches!(kind, EntityKind::DspNode | EntityKind::Channel | EntityKind::Send)
}

fn no_parameters(id: AnyId) -> Refusal {
    let text = format!("a {} has no parameters; name a node, a channel or a send", id.kind);
    Refusal::new(ErrorCode::EntityWrongKind, text).with("entity", id.to_string())
}

/// Refuses what lies outside; rounds what has steps.
pub fn in_range(desc: &ParamDesc, value: f64) -> Result<f64, Refusal> {
    if !(desc.min..=desc.max).contains(&value) {
        let text = format!(
            "`{}` goes from {} to {}{}, not to {value}",
            desc.id,
            desc.min,
            desc.max,
            unit(desc.unit, " ")
        );
        return Err(Refusal::new(ErrorCode::ParameterRange, text)
            .with("parameter", desc.id)
            .with("min", desc.min)
            .with("max", desc.max));
    }
    Ok(desc.clamp(value))
}

pub fn label(entity: &AnyEntity) -> String {
    entity.label().map_or_else(|| entity.any_id().to_string(), str::to_owned)
}

/// `3.5 dB`, for labels of the history.
pub fn shown(desc: Option<&ParamDesc>, value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    match desc.map(|desc| desc.unit) {
        Some(Unit::Choice(names)) => names
            .get(value.max(0.0) as usize)
            .map_or_else(|| rounded.to_string(), |it| (*it).into()),
        Some(Unit::Switch) => if value >= 0.5 { "on" } else { "off" }.to_owned(),
        Some(known) => format!("{rounded}{}", unit(known, " ")),
        None => rounded.to_string(),
    }
}

fn unit(unit: Unit, space: &str) -> String {
    match symbol(unit) {
        "" => String::new(),
        symbol => format!("{space}{symbol}"),
    }
}

fn symbol(unit: Unit) -> &'static str {
    match unit {
        Unit::Decibel => "dB",
        Unit::Hertz => "Hz",
        Unit::Milliseconds => "ms",
        Unit::Seconds => "s",
        Unit::Percent => "%",
        Unit::Semitones => "st",
        Unit::Cents => "ct",
        Unit::Beats => "beats",
        Unit::Frames => "frames",
        Unit::Degrees => "°",
        Unit::None | Unit::Ratio | Unit::Choice(_) | Unit::Switch => "",
    }
}

/// A parameter as a client shows it.
pub fn info(desc: &ParamDesc) -> ParameterInfo {
    let (curve, choices) = match (desc.unit, desc.curve) {
        (Unit::Switch, _) => ("toggle", &[][..]),
        (Unit::Choice(names), _) => ("choice", names),
        (_, Curve::Exponential) => ("log", &[][..]),
        _ => ("linear", &[][..]),
    };
    ParameterInfo {
        id: desc.id.to_owned(),
        name: desc.name.to_owned(),
        unit: symbol(desc.unit).to_owned(),
        min: desc.min,
        max: desc.max,
        default: desc.default,
        curve: curve.to_owned(),
        choices: choices.iter().map(|name| (*name).to_owned()).collect(),
        automatable: desc.automatable,
        layout: desc.layout,
    }
}
