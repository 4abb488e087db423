//! Views of the present revision, made of rows that the database keeps.

use pulse_schemas::{
    command::view::{ViewName, Window},
    entity::Track,
    id::{AnyId, ArrangementId, ClipId, TrackId},
};

use super::{Host, HostError, db};
use crate::{
    source::SourceExt,
    view::{
        Sheet, ViewError, arrangement_of, automation, clip, cohorts, media, name, routing, scratch,
        subject_of, timeline, track,
    },
};

impl Host {
    /// A view of the present revision. Equal to what [`scratch::sheet`] derives.
    pub fn view(
        &self,
        view: ViewName,
        subject: Option<AnyId>,
        window: &Window,
    ) -> Result<Sheet, HostError> {
        let sheet = self.sheet(view, subject, window);
        self.checked(()).inspect_err(|_| self.forget_rows())?;
        Ok(sheet?)
    }

    fn sheet(
        &self,
        view: ViewName,
        subject: Option<AnyId>,
        window: &Window,
    ) -> Result<Sheet, ViewError> {
        let of = || db::read(&self.db, |ctx| arrangement_of(ctx.source, view, subject));
        match view {
            ViewName::Arrangement => Ok(self.screens().arrangement(&self.db, of()?, window)),
            ViewName::Mixer => Ok(self.screens().mixer(&self.db, of()?, window)),
            ViewName::Routing => Ok(self.routing_sheet(of()?)),
            ViewName::Cohorts => {
                let input = db::arrangement_in(&self.db, of()?);
                let cohorts = db::cohorts(&self.db, input);
                let routing = db::routes(&self.db, input);
                Ok(cohorts::sheet(input.id(&self.db), &routing, &cohorts))
            }
            ViewName::Track => self.track_sheet(TrackId(subject_of(view, subject)?.id), window),
            ViewName::Automation => self.automation_sheet(subject_of(view, subject)?, window),
            ViewName::Timeline => {
                let id = of()?;
                let tempo = db::tempo(&self.db, db::arrangement_in(&self.db, id));
                db::read(&self.db, |ctx| timeline::sheet(ctx, &tempo.map, id, window))
            }
            ViewName::Clip => {
                let id = ClipId(subject_of(view, subject)?.id);
                db::read(&self.db, |ctx| clip::sheet(ctx, id, window))
            }
            ViewName::Media => Ok(db::read(&self.db, |ctx| media::sheet(ctx, window))),
            ViewName::History | ViewName::Branches | ViewName::Diff => {
                Err(ViewError::NotOfARevision { view: name(view) })
            }
        }
    }

    fn routing_sheet(&self, id: ArrangementId) -> Sheet {
        let input = db::arrangement_in(&self.db, id);
        let (routing, cohorts) = (db::routes(&self.db, input), db::cohorts(&self.db, input));
        let latencies = db::latency(&self.db, input);
        routing::sheet(id, &routing, Some(&cohorts), latencies.as_deref())
    }

    fn track_sheet(&self, id: TrackId, window: &Window) -> Result<Sheet, ViewError> {
        let found = db::read(&self.db, |ctx| ctx.source.get::<Track>(id.0));
        let found = found.ok_or(ViewError::SubjectGone { subject: id.any() })?;
        let input = db::arrangement_in(&self.db, found.arrangement);
        let channel = db::read(&self.db, |ctx| ctx.source.channel_of(id));
        let heard = channel.is_some_and(|channel| {
            db::heard(&self.db, input, db::channel_in(&self.db, channel.id))
        });
        let tempo = db::tempo(&self.db, input);
        db::read(&self.db, |ctx| track::sheet(ctx, &tempo.map, id, heard, window))
    }

    fn automation_sheet(&self, subject: AnyId, window: &Window) -> Result<Sheet, ViewError> {
        let above = db::read(&self.db, |ctx| {
            scratch::arrangement_above(ctx, subject).or_else(|| ctx.source.active_arrangement())
        });
        let arrangement = above.ok_or(ViewError::NoArrangement)?;
        let tempo = db::tempo(&self.db, db::arrangement_in(&self.db, arrangement));
        db::read(&self.db, |ctx| automation::sheet(ctx, &tempo.map, subject, window))
    }
}
