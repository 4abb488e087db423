//! The audio in a clip.

use pulse_schemas::{
    command::clip::{AddRegion, DeleteRegion, NewRegion, RegionAdded, UpdateRegion},
    entity::{AudioRegion, Clip, ClipContent, MediaItem},
    error::ErrorCode,
    id::{AudioRegionId, ClipId},
};

use crate::{
    commands::edit::{Edit, done, reply},
    refusal::{Refusal, Reply},
};

/// Puts audio into a clip.
pub fn put(
    edit: &mut Edit<'_, '_>,
    clip: ClipId,
    new: &NewRegion,
) -> Result<AudioRegionId, Refusal> {
    let holder: Clip = edit.get(clip)?;
    if !matches!(holder.content, ClipContent::Audio | ClipContent::Video) {
        let text = "audio lies in audio and video clips; this one holds something else";
        return Err(
            Refusal::new(ErrorCode::EntityInvalid, text).with("entity", clip.any().to_string())
        );
    }
    edit.get::<MediaItem>(new.media)?;
    let id = AudioRegionId(edit.id());
    edit.put(AudioRegion {
        id,
        clip,
        media: new.media,
        source_start: new.source_start,
        source_length: new.source_length,
        source_bpm: new.source_bpm,
        warp: Vec::new(),
    })?;
    Ok(id)
}

pub fn add(edit: &mut Edit<'_, '_>, payload: &AddRegion) -> Reply {
    edit.label("Add audio to a clip");
    let region = put(edit, payload.clip, &payload.region)?;
    reply(RegionAdded { region })
}

pub fn update(edit: &mut Edit<'_, '_>, payload: &UpdateRegion) -> Reply {
    if let Some(media) = payload.media {
        edit.get::<MediaItem>(media)?;
    }
    edit.label(match payload.warp {
        Some(_) => "Warp audio",
        None => "Change audio of a clip",
    });
    edit.update::<AudioRegion>(payload.region, |region| {
        region.media = payload.media.unwrap_or(region.media);
        region.source_start = payload.source_start.unwrap_or(region.source_start);
        region.source_length = payload.source_length.unwrap_or(region.source_length);
        payload.source_bpm.apply(&mut region.source_bpm);
        if let Some(warp) = &payload.warp {
            region.warp.clone_from(warp);
        }
    })?;
    done()
}

pub fn delete(edit: &mut Edit<'_, '_>, payload: &DeleteRegion) -> Reply {
    edit.get::<AudioRegion>(payload.region)?;
    edit.label("Take audio out of a clip");
    reply(edit.delete([payload.region])?)
}
