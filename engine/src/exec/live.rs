//! What only a running engine needs of an executor: jumps of its clock and
//! words to every player at once. All of it is real-time safe.

use super::{
    Executor,
    node::push_pending,
    unit::{Fault, ParamEvent},
};
use crate::event::{Event, EventBody};

impl Executor {
    /// The clock of blocks moved by so many frames: what is under way inside
    /// (events between nodes, live notes) stays as far away as it was.
    pub fn jump(&mut self, by: i64) {
        if by == 0 {
            return;
        }
        for unit in self.core.units.all() {
            unit.pending.iter_mut().for_each(|(frame, _)| *frame += by);
            unit.pending_params.iter_mut().for_each(|event: &mut ParamEvent| event.frame += by);
        }
    }

    /// Sends an event to every node that plays events, at the start of the block
    /// that begins at `next_frame`.
    pub fn tell_players(&mut self, body: EventBody, next_frame: i64) {
        let plan = &*self.core.plan;
        for (index, unit) in self.core.units.all().enumerate() {
            let frame = plan.local_frame(index as u32, next_frame);
            push_pending(&mut unit.pending, frame, Event { offset: 0, id: 0, body });
        }
    }

    /// What a node said in the block that ran last; None while it is bypassed or out.
    pub fn said(&mut self, node: u32) -> Option<&[Event]> {
        let unit = self.core.units.one(node as usize);
        (!unit.fully_bypassed()).then(|| unit.emitted.as_slice())
    }

    /// Begins the notes that are held where the song was gone to, `next_frame`
    /// being the frame of the next block there: who jumps into the middle of a
    /// chord hears it.
    pub fn chase(&mut self, next_frame: i64) {
        let plan = &*self.core.plan;
        let materials = &self.core.material.nodes;
        for (index, (unit, material)) in self.core.units.all().zip(materials).enumerate() {
            let frame = plan.local_frame(index as u32, next_frame);
            material.events.sounding(frame, |event| push_pending(&mut unit.pending, frame, *event));
        }
    }

    /// Counts frames for the profile, where one is kept.
    pub fn played(&self, frames: usize) {
        if let Some(profile) = &self.core.profile {
            profile.played(frames);
        }
    }

    /// Whether a failed node panicked; None for one that plays.
    pub fn has_panicked(&mut self, node: u32) -> Option<bool> {
        let fault = self.core.units.one(node as usize).fault.as_ref()?;
        Some(matches!(fault, Fault::Panic(_)))
    }
}
