//! What a new project begins with.

use pulse_schemas::{
    entity::{Arrangement, Channel, ChannelKind, PanLaw, Project, SignaturePoint, TempoPoint},
    id::{ArrangementId, ChannelId, SignaturePointId, TempoPointId},
    time::TempoShape,
};

use crate::{commands::edit::Edit, refusal::Refusal};

/// An arrangement at 120 BPM in 4/4 with a master channel: enough to play.
pub fn empty(edit: &mut Edit<'_, '_>) -> Result<ArrangementId, Refusal> {
    let arrangement = ArrangementId(edit.id());
    edit.put(Arrangement {
        id: arrangement,
        name: "Arrangement".into(),
        ..Arrangement::default()
    })?;
    let id = TempoPointId(edit.id());
    edit.put(TempoPoint {
        id,
        arrangement,
        bpm: 120.0,
        shape: TempoShape::Step,
        ..TempoPoint::default()
    })?;
    let id = SignaturePointId(edit.id());
    edit.put(SignaturePoint {
        id,
        arrangement,
        numerator: 4,
        denominator: 4,
        ..SignaturePoint::default()
    })?;
    let id = ChannelId(edit.id());
    edit.put(Channel {
        id,
        arrangement,
        channel_kind: ChannelKind::Master,
        name: "Master".into(),
        pan_law: PanLaw::Balance,
        width: 1.0,
        channels: 2,
        ..Channel::default()
    })?;
    if let Some(project) = edit.all::<Project>()?.into_iter().next() {
        edit.update::<Project>(project.id, |project| {
            project.active_arrangement.get_or_insert(arrangement);
        })?;
    }
    Ok(arrangement)
}
