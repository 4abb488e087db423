//! Views of the present revision, made of rows that the database keeps.

use pulse_schemas::{
    command::view::{ViewName, Window},
    entity::{Lane, Track},
    id::{AnyId, ArrangementId, ClipId, EntityKind, TrackId},
};

use super::{Host, HostError, db, screens::Stamp, touch::Touch};
use crate::{
    source::SourceExt,
    view::{
        Ctx, Sheet, ViewError, arrangement_of, automation, clip, cohorts, media, name, routing,
        scratch, subject_of, timeline, track,
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
            ViewName::Routing => self.routing_sheet(of()?, window),
            ViewName::Cohorts => self.cohorts_sheet(of()?, window),
            ViewName::Track => self.track_sheet(TrackId(subject_of(view, subject)?.id), window),
            ViewName::Automation => self.automation_sheet(subject_of(view, subject)?, window),
            ViewName::Timeline => self.timeline_sheet(of()?, window),
            ViewName::Clip => {
                let id = ClipId(subject_of(view, subject)?.id);
                let stamp = self.stamp([Touch::Clip(id)]);
                self.whole(view, id.any(), window, stamp, |ctx| clip::sheet(ctx, id, window))
            }
            ViewName::Media => {
                let (nothing, stamp) = (ArrangementId::default().any(), self.stamp([Touch::Media]));
                self.whole(view, nothing, window, stamp, |ctx| Ok(media::sheet(ctx, window)))
            }
            ViewName::History | ViewName::Branches | ViewName::Diff => {
                Err(ViewError::NotOfARevision { view: name(view) })
            }
        }
    }

    fn stamp<const N: usize>(&self, parts: [Touch; N]) -> Stamp {
        let labels = parts.into_iter().map(|part| self.db.world.labels.of(part));
        labels.fold(Stamp::default(), Stamp::label)
    }

    /// A view that is derived whole when what it is made from is another.
    fn whole(
        &self,
        view: ViewName,
        subject: AnyId,
        window: &Window,
        stamp: Stamp,
        derive: impl FnOnce(&Ctx<'_>) -> Result<Sheet, ViewError>,
    ) -> Result<Sheet, ViewError> {
        let derive = || {
            self.note_view(view);
            db::read(&self.db, derive)
        };
        self.screens().whole(view, subject, window, stamp, derive)
    }

    fn routing_sheet(&self, id: ArrangementId, window: &Window) -> Result<Sheet, ViewError> {
        let input = db::arrangement_in(&self.db, id);
        let (routing, cohorts) = (db::routes(&self.db, input), db::cohorts(&self.db, input));
        let latencies = db::latency(&self.db, input);
        let stamp = Stamp::default().result(&routing).result(&cohorts);
        let stamp = latencies.iter().fold(stamp, Stamp::result);
        self.whole(ViewName::Routing, id.any(), window, stamp, |_| {
            Ok(routing::sheet(id, &routing, Some(&cohorts), latencies.as_deref()))
        })
    }

    fn cohorts_sheet(&self, id: ArrangementId, window: &Window) -> Result<Sheet, ViewError> {
        let input = db::arrangement_in(&self.db, id);
        let (routing, cohorts) = (db::routes(&self.db, input), db::cohorts(&self.db, input));
        let stamp = Stamp::default().result(&routing).result(&cohorts);
        self.whole(ViewName::Cohorts, id.any(), window, stamp, |_| {
            Ok(cohorts::sheet(id, &routing, &cohorts))
        })
    }

    fn timeline_sheet(&self, id: ArrangementId, window: &Window) -> Result<Sheet, ViewError> {
        let tempo = db::tempo(&self.db, db::arrangement_in(&self.db, id));
        let stamp = self.stamp([Touch::Timeline(id)]).label(tempo.label());
        self.whole(ViewName::Timeline, id.any(), window, stamp, |ctx| {
            timeline::sheet(ctx, &tempo.map, id, window)
        })
    }

    fn track_sheet(&self, id: TrackId, window: &Window) -> Result<Sheet, ViewError> {
        let found = db::read(&self.db, |ctx| ctx.source.get::<Track>(id.0));
        let found = found.ok_or(ViewError::SubjectGone { subject: id.any() })?;
        let input = db::arrangement_in(&self.db, found.arrangement);
        let channel = db::read(&self.db, |ctx| ctx.source.channel_of(id)).map(|it| it.id);
        let heard = channel
            .is_some_and(|channel| db::heard(&self.db, input, db::channel_in(&self.db, channel)));
        let tempo = db::tempo(&self.db, input);
        let strip = channel.map_or(0, |channel| self.db.world.labels.of(Touch::Strip(channel)));
        let stamp = self.stamp([Touch::Track(id)]).label(tempo.label());
        let stamp = stamp.label(strip).label(u64::from(heard));
        self.whole(ViewName::Track, id.any(), window, stamp, |ctx| {
            track::sheet(ctx, &tempo.map, id, heard, window)
        })
    }

    fn automation_sheet(&self, subject: AnyId, window: &Window) -> Result<Sheet, ViewError> {
        let (arrangement, track) = db::read(&self.db, |ctx| {
            let above = scratch::arrangement_above(ctx, subject);
            let lane = || ctx.source.get::<Lane>(subject.id).map(|lane| lane.track);
            let track = if subject.kind == EntityKind::Lane { lane() } else { None };
            (above.or_else(|| ctx.source.active_arrangement()), track)
        });
        let arrangement = arrangement.ok_or(ViewError::NoArrangement)?;
        let tempo = db::tempo(&self.db, db::arrangement_in(&self.db, arrangement));
        let owner = match (subject.kind, track) {
            (EntityKind::Clip, _) => Touch::Clip(ClipId(subject.id)),
            (_, Some(track)) => Touch::Content(track),
            (_, None) => Touch::Content(TrackId(subject.id)),
        };
        let stamp = self.stamp([owner]).label(tempo.label());
        self.whole(ViewName::Automation, subject, window, stamp, |ctx| {
            automation::sheet(ctx, &tempo.map, subject, window)
        })
    }
}
