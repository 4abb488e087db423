//! Media: files that clips name by id, and what became of them. Nothing is ever
//! forgotten: an item whose file is away keeps all that is known of it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use pulse_schemas::{
    command::media::{
        Command, CopyMode, Details, Discard, Finalise, Finalised, Import, Imported, Items, List,
        MediaDetails, MediaFilter, Peaks, Refresh, Refreshed, Register, Registered, Relink,
        Relinked, RelinkedItem, Relocate, Relocated, Remove, Replace, Replaced, Reserve, Reserved,
        Update, Waveform,
    },
    entity::{
        AnalysisArtefact, AnyEntity, AudioRegion, Availability, BlobRef, Lifecycle, MediaItem,
        MediaKind, MediaOrigin, MediaStorage, StorageBackend,
    },
    error::ErrorCode,
    id::{AnyId, ClipId, MediaId},
};
use pulse_store::{project::MEDIA_DIR, view::View};
use serde_json::json;

use super::{
    edit::{Edit, done, reply},
    page::cut,
};
use crate::{
    places::Places,
    refusal::{Refusal, Reply},
    rendering::Watch,
    session::Session,
};

pub mod ahead;
pub mod files;
#[cfg(test)]
mod tests;

use ahead::Facts;
use files::{Probe, absolute, free_path, relative};

/// Where files of discarded items go, beside `Media/`.
const TRASH_DIR: &str = "Trash";

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::Import(payload) => import(edit, payload),
        Command::Register(payload) => register(edit, payload),
        Command::Reserve(payload) => reserve(edit, payload),
        Command::Finalise(payload) => finalise(edit, payload),
        Command::Discard(payload) => discard(edit, payload),
        Command::Update(payload) => update(edit, payload),
        Command::Remove(payload) => remove(edit, payload),
        Command::Relocate(payload) => relocate(edit, payload),
        Command::Relink(payload) => relink(edit, payload),
        Command::Replace(payload) => replace(edit, payload),
        Command::Refresh(_) | Command::List(_) | Command::Details(_) | Command::Waveform(_) => {
            Err(super::not_here(command.spec()))
        }
    }
}

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::List(payload) => list(session, payload),
        Command::Details(payload) => details(session, payload),
        Command::Waveform(payload) => waveform(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

pub fn act(session: &mut Session, command: &Command) -> Reply {
    match command {
        Command::Refresh(payload) => refresh(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

/// What a file holds, as it was read ahead or as it is read now.
fn probe(edit: &mut Edit<'_, '_>, path: &Path) -> Result<Probe, Refusal> {
    edit.live.facts.probe(path, &Watch::default())
}

/// The project's folder of media; a project in memory has none.
fn media_dir(edit: &Edit<'_, '_>) -> Result<PathBuf, Refusal> {
    edit.folder.map(|folder| folder.join(MEDIA_DIR)).ok_or_else(|| {
        let text =
            "the project lies in memory and has no folder; save it to one, or refer to the file";
        Refusal::new(ErrorCode::PathForbidden, text)
    })
}

fn shown_name(path: &Path) -> String {
    path.file_stem().map_or_else(|| "media".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// A place in `Media/` that neither a file nor another item has, nor an older version names.
fn free_place(edit: &mut Edit<'_, '_>, name: &Path) -> Result<PathBuf, Refusal> {
    let items = edit.all::<MediaItem>()?;
    let in_project = items.iter().filter(|it| it.storage.backend == StorageBackend::Project);
    let taken: BTreeSet<String> = in_project.map(|item| item.storage.path.to_lowercase()).collect();
    let (media, places) = (media_dir(edit)?, Places::of(edit.folder));
    let is_taken = |path: &Path| {
        let is_named = taken.contains(&path.to_string_lossy().to_lowercase());
        is_named || places.is_left(&media.join(path))
    };
    Ok(free_path(&media, name, is_taken))
}

/// Takes a file into the project, or refers to it.
fn bring_in(
    edit: &mut Edit<'_, '_>,
    path: &Path,
    file: Option<&BlobRef>,
    mode: CopyMode,
) -> Result<MediaStorage, Refusal> {
    if mode == CopyMode::Reference {
        return Ok(referred(path));
    }
    let name = path.file_name().map(Path::new).unwrap_or(path);
    let place = free_place(edit, name)?;
    let target = media_dir(edit)?.join(&place);
    match mode {
        CopyMode::Move => edit.live.facts.move_file(path, &target, file)?,
        _ => edit.live.facts.copy(path, &target)?,
    }
    Ok(in_project(&place))
}

fn referred(path: &Path) -> MediaStorage {
    let path = path.to_string_lossy().into_owned();
    MediaStorage { backend: StorageBackend::Reference, path, ..MediaStorage::default() }
}

fn in_project(place: &Path) -> MediaStorage {
    let path = place.to_string_lossy().into_owned();
    MediaStorage { backend: StorageBackend::Project, path, ..MediaStorage::default() }
}

/// The item that has this content already.
fn known(edit: &mut Edit<'_, '_>, probe: &Probe) -> Result<Option<MediaItem>, Refusal> {
    Ok(known_in(edit.all::<MediaItem>()?, probe))
}

fn known_in(items: Vec<MediaItem>, probe: &Probe) -> Option<MediaItem> {
    let is_same = |item: &MediaItem| {
        item.lifecycle == Lifecycle::Final
            && item.media_kind == probe.kind
            && item.content == Some(probe.content)
    };
    items.into_iter().find(is_same)
}

fn fill(item: &mut MediaItem, probe: Probe) {
    item.media_kind = probe.kind;
    item.format = probe.format;
    item.content = Some(probe.content);
    item.file = Some(probe.file);
    item.lifecycle = Lifecycle::Final;
    item.availability = Availability::Local;
}

fn import(edit: &mut Edit<'_, '_>, payload: &Import) -> Reply {
    let path = absolute(&payload.path)?;
    let probe = probe(edit, &path)?;
    if let Some(mut item) = known(edit, &probe)? {
        // The same sound under a second name would be two items to keep apart.
        edit.label(format!("Import {} again", item.name));
        item.tags.extend(payload.tags.iter().cloned());
        if Places::of(edit.folder).present(&item).is_none() {
            item.storage = bring_in(edit, &path, Some(&probe.file), payload.mode)?;
            item.file = Some(probe.file);
        }
        edit.put(item.clone())?;
        return reply(Imported { media: item.id, duplicate: true, item });
    }
    let name = payload.name.clone().unwrap_or_else(|| shown_name(&path));
    edit.label(format!("Import {name}"));
    let mut item = MediaItem {
        id: MediaId(edit.id()),
        name,
        origin: MediaOrigin::Imported,
        storage: bring_in(edit, &path, Some(&probe.file), payload.mode)?,
        tags: payload.tags.clone(),
        ..MediaItem::default()
    };
    fill(&mut item, probe);
    edit.put(item.clone())?;
    reply(Imported { media: item.id, duplicate: false, item })
}

fn register(edit: &mut Edit<'_, '_>, payload: &Register) -> Reply {
    let place = relative(&payload.path)?;
    let path = media_dir(edit)?.join(&place);
    let probe = probe(edit, &path)?;
    let storage = in_project(&place);
    if let Some(item) = edit.all::<MediaItem>()?.into_iter().find(|it| it.storage == storage) {
        let text = format!("{} is an item of the project already", payload.path);
        return Err(
            Refusal::new(ErrorCode::EntityInUse, text).with("users", vec![item.id.to_string()])
        );
    }
    let name = payload.name.clone().unwrap_or_else(|| shown_name(&path));
    edit.label(format!("Register {name}"));
    let origin = payload.origin.unwrap_or(MediaOrigin::Imported);
    let mut item =
        MediaItem { id: MediaId(edit.id()), name, origin, storage, ..MediaItem::default() };
    fill(&mut item, probe);
    edit.put(item.clone())?;
    reply(Registered { media: item.id, item })
}

fn reserve(edit: &mut Edit<'_, '_>, payload: &Reserve) -> Reply {
    let kind = payload.kind.unwrap_or(MediaKind::Audio);
    let usual = if kind == MediaKind::Midi { "mid" } else { "wav" };
    let extension = payload.extension.as_deref().unwrap_or(usual);
    if !extension.bytes().all(|byte| byte.is_ascii_alphanumeric()) || extension.is_empty() {
        let text = format!("{extension:?} is no file extension");
        return Err(Refusal::new(ErrorCode::PathForbidden, text).with("path", "payload.extension"));
    }
    edit.label(format!("Reserve {}", payload.name));
    let name = PathBuf::from(format!("{}.{extension}", files::file_name(&payload.name)));
    let place = free_place(edit, &name)?;
    let id = MediaId(edit.id());
    edit.put(MediaItem {
        id,
        media_kind: kind,
        name: payload.name.clone(),
        origin: payload.origin.unwrap_or(MediaOrigin::Recorded),
        storage: in_project(&place),
        lifecycle: Lifecycle::Pending,
        ..MediaItem::default()
    })?;
    let path = media_dir(edit)?.join(place).display().to_string();
    reply(Reserved { media: id, path })
}

/// An item that was reserved and not decided about.
fn pending(edit: &mut Edit<'_, '_>, id: MediaId) -> Result<MediaItem, Refusal> {
    let item: MediaItem = edit.get(id)?;
    if item.lifecycle == Lifecycle::Pending {
        return Ok(item);
    }
    let text = format!("{} is not pending any more", item.name);
    Err(Refusal::new(ErrorCode::MediaLifecycle, text).with("entity", id.to_string()))
}

fn offline(item: &MediaItem) -> Refusal {
    let text = format!("the file of {} is not there: {}", item.name, item.storage.path);
    Refusal::new(ErrorCode::MediaOffline, text).with("entity", item.id.to_string())
}

/// The path of an item whose file is there.
fn present(item: &MediaItem, folder: Option<&Path>) -> Result<PathBuf, Refusal> {
    Places::of(folder).present(item).ok_or_else(|| offline(item))
}

/// Finishes a reserved item with what was found in its file.
pub fn finish(
    edit: &mut Edit<'_, '_>,
    media: MediaId,
    probe: Probe,
    more: impl FnOnce(&mut MediaItem),
) -> Result<(), Refusal> {
    let mut item = pending(edit, media)?;
    fill(&mut item, probe);
    more(&mut item);
    edit.put(item)
}

fn finalise(edit: &mut Edit<'_, '_>, payload: &Finalise) -> Reply {
    let mut item = pending(edit, payload.media)?;
    edit.label(format!("Finish {}", item.name));
    let path = present(&item, edit.folder)?;
    let probe = probe(edit, &path)?;
    fill(&mut item, probe);
    edit.put(item.clone())?;
    reply(Finalised { item })
}

fn discard(edit: &mut Edit<'_, '_>, payload: &Discard) -> Reply {
    let item = pending(edit, payload.media)?;
    edit.label(format!("Discard {}", item.name));
    if let (Ok(path), Some(folder)) = (present(&item, edit.folder), edit.folder) {
        let trash = folder.join(TRASH_DIR);
        let place = free_path(&trash, Path::new(&item.storage.path), |_| false);
        edit.live.facts.move_file(&path, &trash.join(place), item.file.as_ref())?;
    }
    edit.update::<MediaItem>(item.id, |item| {
        item.lifecycle = Lifecycle::Abandoned;
        item.availability = Availability::Missing;
    })?;
    done()
}

fn update(edit: &mut Edit<'_, '_>, payload: &Update) -> Reply {
    let item: MediaItem = edit.get(payload.media)?;
    edit.label(format!("Change {}", item.name));
    edit.update::<MediaItem>(item.id, |item| {
        item.name = payload.name.clone().unwrap_or_else(|| item.name.clone());
        for (name, value) in &payload.attributes {
            match value {
                Some(value) => item.attributes.insert(name.clone(), value.clone()),
                None => item.attributes.remove(name),
            };
        }
    })?;
    done()
}

/// Who plays an item: regions, kits, frozen tracks. What is derived from it
/// goes with it and is no user.
fn users(edit: &mut Edit<'_, '_>, media: MediaId) -> Result<Vec<AnyId>, Refusal> {
    let view = edit.view()?;
    let mut users = Vec::new();
    for key in view.all_referrers(media)? {
        match view.entity(&key)? {
            Some(AnyEntity::AnalysisArtefact(_) | AnyEntity::MediaItem(_)) | None => {}
            Some(entity) => users.push(entity.owner().unwrap_or_else(|| entity.any_id())),
        }
    }
    users.sort();
    users.dedup();
    Ok(users)
}

fn remove(edit: &mut Edit<'_, '_>, payload: &Remove) -> Reply {
    let mut names = Vec::new();
    for id in &payload.media {
        let item: MediaItem = edit.get(*id)?;
        let users = users(edit, *id)?;
        if !users.is_empty() && !payload.force {
            let text = format!("{} is in use", item.name);
            let users: Vec<String> = users.iter().map(AnyId::to_string).collect();
            return Err(Refusal::new(ErrorCode::EntityInUse, text)
                .with("entity", id.to_string())
                .with("users", users));
        }
        names.push(item.name);
    }
    edit.label(format!("Remove {}", names.join(", ")));
    reply(edit.delete(payload.media.iter().copied())?)
}

fn relocate(edit: &mut Edit<'_, '_>, payload: &Relocate) -> Reply {
    let mut item: MediaItem = edit.get(payload.media)?;
    edit.label(format!("Relocate {}", item.name));
    let from = present(&item, edit.folder)?;
    item.storage = match &payload.path {
        None => into_project(edit, &item, &from, payload.mode)?,
        Some(text) => out_to(edit, &item, &from, &absolute(text)?, payload.mode)?,
    };
    item.availability = Availability::Local;
    edit.put(item.clone())?;
    reply(Relocated { item })
}

fn into_project(
    edit: &mut Edit<'_, '_>,
    item: &MediaItem,
    from: &Path,
    mode: CopyMode,
) -> Result<MediaStorage, Refusal> {
    if mode == CopyMode::Reference {
        let text = "name the file to refer to";
        return Err(Refusal::new(ErrorCode::PathForbidden, text).with("path", "payload.path"));
    }
    // It may have been moved there before, and the move undone.
    match from.strip_prefix(media_dir(edit)?) {
        Ok(place) => Ok(in_project(place)),
        Err(_) => bring_in(edit, from, item.file.as_ref(), mode),
    }
}

fn out_to(
    edit: &mut Edit<'_, '_>,
    item: &MediaItem,
    from: &Path,
    to: &Path,
    mode: CopyMode,
) -> Result<MediaStorage, Refusal> {
    match mode {
        CopyMode::Reference => check_same(edit, item, to)?,
        _ if from == to => {}
        CopyMode::Copy => edit.live.facts.copy(from, to)?,
        CopyMode::Move => edit.live.facts.move_file(from, to, item.file.as_ref())?,
    }
    Ok(referred(to))
}

fn check_same(edit: &mut Edit<'_, '_>, item: &MediaItem, path: &Path) -> Result<(), Refusal> {
    if Some(probe(edit, path)?.content) == item.content {
        return Ok(());
    }
    let text = format!("{} holds something else; use `media.replace` for that", path.display());
    Err(Refusal::new(ErrorCode::MediaFormat, text).with("path", path.display().to_string()))
}

/// A file that may be a missing item's: same name or same length.
fn candidate(item: &MediaItem, path: &Path, length: u64) -> bool {
    let same_length = item.file.as_ref().is_some_and(|file| file.bytes == length);
    same_length || (item.file.is_none() && same_name(item, path))
}

fn same_name(item: &MediaItem, path: &Path) -> bool {
    let name = |path: &Path| path.file_name().map(|it| it.to_string_lossy().to_lowercase());
    name(path) == name(Path::new(&item.storage.path))
}

fn relink(edit: &mut Edit<'_, '_>, payload: &Relink) -> Reply {
    let roots = payload.roots.iter().map(|root| absolute(root)).collect::<Result<Vec<_>, _>>()?;
    if let Some(root) = roots.iter().find(|root| !root.is_dir()) {
        return Err(files::unreadable(root, &std::io::ErrorKind::NotFound.into()));
    }
    let mut items = edit.all::<MediaItem>()?;
    if let Some(id) = payload.media.iter().find(|id| items.iter().all(|item| item.id != **id)) {
        return Err(Refusal::not_found(*id));
    }
    let places = Places::of(edit.folder);
    items.retain(|item| is_lost(item, &payload.media, &places));
    items.sort_by_key(|item| item.id);
    let all = edit.live.facts.walk(&roots);
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for mut item in items {
        let facts = &mut edit.live.facts;
        let lost = find(&item, &all, payload.loose, facts, &Watch::default());
        let Some((path, file, same_content)) = lost else {
            missing.push(item.id);
            continue;
        };
        item.storage = referred(&path);
        item.availability = Availability::Local;
        match same_content {
            true => item.file = Some(file),
            false => fill(&mut item, probe(edit, &path)?),
        }
        let path = path.display().to_string();
        found.push(RelinkedItem { media: item.id, path, same_content });
        edit.put(item)?;
    }
    edit.label(format!("Find {} files again", found.len()));
    reply(Relinked { found, missing })
}

/// Whether an item is to be looked for: among those asked for, and not where it was.
fn is_lost(item: &MediaItem, asked: &[MediaId], places: &Places<'_>) -> bool {
    let asked = asked.is_empty() || asked.contains(&item.id);
    asked && item.lifecycle == Lifecycle::Final && places.present(item).is_none()
}

/// The first file of the same content; else, if that will do, one of the same
/// name and length.
fn find(
    item: &MediaItem,
    all: &[(PathBuf, u64)],
    loose: bool,
    facts: &mut Facts,
    watch: &Watch,
) -> Option<(PathBuf, BlobRef, bool)> {
    let mut candidates: Vec<&PathBuf> = all
        .iter()
        .filter(|(path, length)| candidate(item, path, *length))
        .map(|(path, _)| path)
        .collect();
    candidates.sort_by_key(|path| (!same_name(item, path), *path));
    for path in &candidates {
        let Ok(file) = facts.hash(path, watch) else { continue };
        if item.file.as_ref().is_some_and(|known| known.hash == file.hash) {
            return Some(((*path).clone(), file, true));
        }
    }
    let named = candidates.into_iter().find(|path| loose && same_name(item, path))?;
    Some((named.clone(), facts.hash(named, watch).ok()?, false))
}

fn replace(edit: &mut Edit<'_, '_>, payload: &Replace) -> Reply {
    let mut item: MediaItem = edit.get(payload.media)?;
    edit.label(format!("Replace {}", item.name));
    let path = absolute(&payload.path)?;
    let probe = probe(edit, &path)?;
    if probe.kind != item.media_kind {
        let text = format!("{} is {:?}, not {:?}", path.display(), probe.kind, item.media_kind);
        return Err(
            Refusal::new(ErrorCode::MediaFormat, text).with("path", path.display().to_string())
        );
    }
    let same_content = item.content == Some(probe.content);
    if !same_content {
        let derived = edit.referring::<AnalysisArtefact>(item.id)?;
        edit.delete(derived.iter().map(|artefact| artefact.id))?;
    }
    let mode = match item.storage.backend {
        StorageBackend::Project => CopyMode::Copy,
        _ => CopyMode::Reference,
    };
    item.storage = bring_in(edit, &path, Some(&probe.file), mode)?;
    fill(&mut item, probe);
    edit.put(item.clone())?;
    reply(Replaced { item, same_content })
}

/// What is true of an item's file now.
fn availability(item: &MediaItem, places: &Places<'_>) -> Availability {
    match (item.storage.backend, places.present(item).is_some()) {
        (StorageBackend::External, true) => Availability::ExternalOnline,
        (StorageBackend::External, false) => Availability::ExternalOffline,
        (_, true) => Availability::Local,
        (StorageBackend::Cloud, false) => Availability::RemoteOffline,
        (_, false) => Availability::Missing,
    }
}

fn folder(session: &Session) -> Option<&Path> {
    session.open.as_ref().and_then(|open| open.path.as_deref())
}

fn item(view: &View, id: MediaId) -> Result<MediaItem, Refusal> {
    view.get(id)?.ok_or_else(|| Refusal::not_found(id))
}

/// Whether the file is another length than when it was read: a cheap look.
fn is_changed(item: &MediaItem, places: &Places<'_>) -> bool {
    let length = places.path(item).and_then(|path| std::fs::metadata(path).ok());
    let known = item.file.as_ref().map(|file| file.bytes);
    length.is_some_and(|data| known.is_some_and(|known| known != data.len()))
}

fn refresh(session: &mut Session, payload: &Refresh) -> Reply {
    let view = session.view()?;
    let mut items = view.all::<MediaItem>()?;
    for id in &payload.media {
        item(&view, *id)?;
    }
    items.retain(|it| payload.media.is_empty() || payload.media.contains(&it.id));
    items.retain(|it| it.lifecycle == Lifecycle::Final);
    items.sort_by_key(|it| it.id);
    let places = Places::of(folder(session));
    let (mut changed, mut missing) = (Vec::new(), Vec::new());
    let (mut came, mut went) = (Vec::new(), Vec::new());
    for item in &items {
        let there = places.present(item).is_some();
        if !there {
            missing.push(item.id);
        } else if is_changed(item, &places) {
            changed.push(item.id);
        }
        match (there, session.live.missing.contains(&item.id)) {
            (true, true) => came.push(item.id),
            (false, false) => went.push(item.id),
            _ => {}
        }
    }
    session.live.missing.retain(|id| !came.contains(id));
    session.live.missing.extend(&went);
    if !came.is_empty() || !went.is_empty() {
        let payload = json!({"available": came, "missing": went});
        session.publish("media", "availabilityChanged", payload);
    }
    reply(Refreshed { changed, missing })
}

fn matches(view: &View, item: &MediaItem, filter: &MediaFilter) -> Result<bool, Refusal> {
    let text = filter.text.as_ref().map(|text| text.to_lowercase());
    let named = text.is_none_or(|text| {
        item.name.to_lowercase().contains(&text) || item.storage.path.to_lowercase().contains(&text)
    });
    let fits = named
        && filter.kind.is_none_or(|kind| kind == item.media_kind)
        && filter.lifecycle.is_none_or(|lifecycle| lifecycle == item.lifecycle)
        && filter.availability.is_none_or(|availability| availability == item.availability)
        && filter.tag.as_ref().is_none_or(|tag| item.tags.contains(tag));
    Ok(fits && (!filter.unused || clips(view, item.id)?.is_empty()))
}

/// The clips that play an item.
fn clips(view: &View, media: MediaId) -> Result<Vec<ClipId>, Refusal> {
    let regions = view.referring::<AudioRegion>(media)?;
    let clips: BTreeSet<ClipId> = regions.iter().map(|region| region.clip).collect();
    Ok(clips.into_iter().collect())
}

fn list(session: &Session, payload: &List) -> Reply {
    let view = session.view()?;
    let places = Places::of(folder(session));
    let mut found = Vec::new();
    for mut item in view.all::<MediaItem>()? {
        item.availability = availability(&item, &places);
        if matches(&view, &item, &payload.filter)? {
            found.push(item);
        }
    }
    found.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    let total = found.len() as u64;
    let (items, more) = cut(found, &payload.page);
    reply(Items { items, total, more })
}

fn details(session: &Session, payload: &Details) -> Reply {
    let view = session.view()?;
    let item = item(&view, payload.media)?;
    let places = Places::of(folder(session));
    let path = places.present(&item).map(|path| path.display().to_string());
    let mut analyses = view.referring::<AnalysisArtefact>(item.id)?;
    analyses.sort_by_key(|artefact| artefact.id);
    reply(MediaDetails {
        availability: availability(&item, &places),
        path,
        analyses,
        clips: clips(&view, item.id)?,
        item,
    })
}

fn waveform(session: &Session, payload: &Waveform) -> Reply {
    peaks(&session.view()?, folder(session), payload, &Watch::default())
}

fn peaks(view: &View, folder: Option<&Path>, payload: &Waveform, watch: &Watch) -> Reply {
    let item = item(view, payload.media)?;
    let path = present(&item, folder)?;
    if item.media_kind != MediaKind::Audio {
        let text = format!("{} is no audio", item.name);
        return Err(Refusal::new(ErrorCode::MediaFormat, text).with("entity", item.id.to_string()));
    }
    let mut decoder = files::decoder(&path, watch)?;
    let info = *decoder.info();
    let start = payload.start.min(info.frames);
    let rest = info.frames - start;
    let length = if payload.length == 0 { rest } else { payload.length.min(rest) };
    if length == 0 {
        return Err(Refusal::range("payload.start", "the stretch lies behind the end"));
    }
    let points = u64::from(payload.points).min(length);
    let mut peaks = vec![[f32::MAX, f32::MIN]; points as usize * info.channels];
    decoder.seek(start).map_err(|error| files::undecodable(&path, &error))?;
    let mut at = 0u64;
    let mut block = vec![vec![0.0f32; 8_192]; info.channels];
    while at < length {
        let wanted = (length - at).min(8_192) as usize;
        let mut planes: Vec<&mut [f32]> =
            block.iter_mut().map(|plane| &mut plane[..wanted]).collect();
        files::go_on(watch)?;
        let count = decoder.read(&mut planes).map_err(|error| files::undecodable(&path, &error))?;
        if count == 0 {
            break;
        }
        for (channel, plane) in block.iter().enumerate() {
            for (offset, sample) in plane[..count].iter().enumerate() {
                let point = ((at + offset as u64) as u128 * u128::from(points) / u128::from(length))
                    as usize;
                let peak = &mut peaks[point * info.channels + channel];
                *peak = [peak[0].min(*sample), peak[1].max(*sample)];
            }
        }
        at += count as u64;
    }
    // What a damaged file lacks at its end is silence.
    let shown = |peak: [f32; 2]| if peak[0] > peak[1] { [0.0, 0.0] } else { peak };
    reply(Peaks {
        channels: u16::try_from(info.channels).unwrap_or(u16::MAX),
        sample_rate: info.rate,
        peaks: peaks.into_iter().flat_map(shown).collect(),
    })
}
