//! The project as a readable text file, out and in.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Write},
};

use pulse_schemas::command::project::{Export, Exported, Import, Imported};
use pulse_store::{snapshot::ExportError, tx::TxMeta};

use super::files::{absolute, failed};
use crate::{
    commands::{edit::reply, version::rev},
    refusal::Reply,
    session::Session,
};

pub fn export(session: &Session, payload: &Export) -> Reply {
    let path = absolute("payload.path", &payload.path)?;
    let project = session.project()?;
    let view = match &payload.rev {
        Some(at) => project.view_at(&rev(at)?)?,
        None => project.stored(),
    };
    // The old file stays until the new one is whole.
    let fresh = path.with_extension("pulse-new");
    let file = File::create(&fresh).map_err(|error| failed(&fresh, &error))?;
    let mut out = BufWriter::new(file);
    let entities = project.snapshot_export(&view, &mut out)?;
    out.flush().map_err(ExportError::from)?;
    out.get_ref().sync_all().map_err(ExportError::from)?;
    std::fs::rename(&fresh, &path).map_err(|error| failed(&path, &error))?;
    let bytes = std::fs::metadata(&path).map_err(|error| failed(&path, &error))?.len();
    reply(Exported { bytes, entities })
}

pub fn import(session: &mut Session, payload: &Import, meta: TxMeta) -> crate::commands::Whole {
    let path = absolute("payload.path", &payload.path)?;
    let file = File::open(&path).map_err(|error| failed(&path, &error))?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let meta = TxMeta { label: format!("Import {}", name.unwrap_or_default()), ..meta };
    let imported = session.project_mut()?.snapshot_import(&mut BufReader::new(file), meta)?;
    Ok((reply(Imported { entities: imported.records })?, imported.committed))
}
