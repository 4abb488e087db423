//! What is in a clip, read once and written under new ids as often as needed.

use std::collections::BTreeMap;

use pulse_schemas::{
    command::types::CopyOf,
    entity::{
        AnyEntity, AudioRegion, AutomationEnvelope, AutomationPoint, Clip, EnvelopeOwner,
        MidiEvent, Note, ViewMeta,
    },
    id::{
        AnyId, AudioRegionId, AutomationEnvelopeId, AutomationPointId, ClipId, EntityId,
        MidiEventId, NoteId, ViewMetaId,
    },
};
use pulse_store::view::View;

use crate::{commands::edit::Edit, refusal::Refusal};

/// A clip with everything that belongs to it.
pub struct Contents {
    pub clip: Clip,
    regions: Vec<AudioRegion>,
    notes: Vec<Note>,
    events: Vec<MidiEvent>,
    envelopes: Vec<(AutomationEnvelope, Vec<AutomationPoint>)>,
    looks: Vec<ViewMeta>,
}

/// The envelopes inside a clip.
pub fn envelopes_of(view: &View, clip: ClipId) -> Result<Vec<AutomationEnvelope>, Refusal> {
    let mut envelopes = view.referring::<AutomationEnvelope>(clip)?;
    envelopes.retain(|envelope| envelope.owner == EnvelopeOwner::Clip { clip });
    Ok(envelopes)
}

impl Contents {
    pub fn read(view: &View, clip: Clip) -> Result<Contents, Refusal> {
        let mut envelopes = Vec::new();
        for envelope in envelopes_of(view, clip.id)? {
            let points = view.members::<AutomationPoint>(envelope.id)?;
            envelopes.push((envelope, points));
        }
        Ok(Contents {
            regions: view.members(clip.id)?,
            notes: view.members(clip.id)?,
            events: view.members(clip.id)?,
            looks: view.referring(clip.id)?,
            envelopes,
            clip,
        })
    }

    /// Writes a copy that is `clip` but for its id, which is made here.
    pub fn write(
        &self,
        edit: &mut Edit<'_, '_>,
        clip: Clip,
        copies: &mut Vec<CopyOf>,
    ) -> Result<ClipId, Refusal> {
        let id = ClipId(edit.id());
        let mut writer = Writer { edit, copies, ids: BTreeMap::new() };
        writer.put(self.clip.id.any(), Clip { id, ..clip })?;
        for region in &self.regions {
            let new = AudioRegionId(writer.edit.id());
            writer.put(region.id.any(), AudioRegion { id: new, clip: id, ..region.clone() })?;
        }
        for note in &self.notes {
            let new = NoteId(writer.edit.id());
            writer.put(note.id.any(), Note { id: new, clip: id, ..note.clone() })?;
        }
        for event in &self.events {
            let new = MidiEventId(writer.edit.id());
            writer.put(event.id.any(), MidiEvent { id: new, clip: id, ..event.clone() })?;
        }
        for (envelope, points) in &self.envelopes {
            writer.envelope(envelope, points, id)?;
        }
        for looks in &self.looks {
            let subject = looks.subject.map(|subject| writer.follow(subject));
            let new = ViewMetaId(writer.edit.id());
            writer.put(looks.id.any(), ViewMeta { id: new, subject, ..looks.clone() })?;
        }
        Ok(id)
    }
}

struct Writer<'a, 't, 'p> {
    edit: &'a mut Edit<'t, 'p>,
    copies: &'a mut Vec<CopyOf>,
    ids: BTreeMap<AnyId, EntityId>,
}

impl Writer<'_, '_, '_> {
    fn put(&mut self, original: AnyId, entity: impl Into<AnyEntity>) -> Result<(), Refusal> {
        let entity = entity.into();
        let copy = entity.any_id();
        self.ids.insert(original, copy.id);
        self.copies.push(CopyOf { original, copy });
        self.edit.put(entity)
    }

    /// What stands for an id among the copies.
    fn follow(&self, id: AnyId) -> AnyId {
        self.ids.get(&id).map_or(id, |new| AnyId { kind: id.kind, id: *new })
    }

    fn envelope(
        &mut self,
        envelope: &AutomationEnvelope,
        points: &[AutomationPoint],
        clip: ClipId,
    ) -> Result<(), Refusal> {
        let id = AutomationEnvelopeId(self.edit.id());
        let owner = EnvelopeOwner::Clip { clip };
        self.put(envelope.id.any(), AutomationEnvelope { id, owner, ..envelope.clone() })?;
        for point in points {
            let new = AutomationPointId(self.edit.id());
            let copy = AutomationPoint { id: new, envelope: id, ..point.clone() };
            self.put(point.id.any(), copy)?;
        }
        Ok(())
    }
}
