//! What a job renders alone: a track, or one clip of it.

use pulse_schemas::{
    entity::{Clip, Lane},
    error::ErrorCode,
    id::{AnyId, EntityKind, TrackId},
};
use pulse_store::view::View;

use crate::{
    refusal::Refusal,
    rendering::{Bare, RenderingError},
};

pub struct Source {
    pub id: AnyId,
    pub track: TrackId,
    pub clip: Option<Clip>,
}

impl Source {
    /// `field` is where the caller named it.
    pub fn of(view: &View, id: AnyId, field: &str) -> Result<Source, Refusal> {
        let (track, clip) = match id.kind {
            EntityKind::Track => (TrackId(id.id), None),
            EntityKind::Clip => {
                let clip = view.get::<Clip>(id)?.ok_or_else(|| Refusal::not_found(id))?;
                let lane = view.get::<Lane>(clip.lane)?;
                (lane.ok_or_else(|| Refusal::not_found(clip.lane))?.track, Some(clip))
            }
            _ => {
                let text = format!("{id} is neither a clip nor a track");
                return Err(Refusal::new(ErrorCode::EntityInvalid, text)
                    .with("entity", id.to_string())
                    .with("path", field));
            }
        };
        Ok(Source { id, track, clip })
    }

    pub fn bare(&self, view: &View) -> Result<Bare, RenderingError> {
        let whole = Bare::whole(view, self.track)?;
        Ok(match &self.clip {
            Some(clip) => whole.with_only(clip.id, clip.lane),
            None => whole,
        })
    }
}
