//! A disk that cannot be read for a while: nothing that was derived without it
//! is taken for the truth, then or later.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use pulse_engine::registry::Registry;
use pulse_schemas::{command::view::ViewName, command::view::Window, hash::Hash};
use pulse_store::{
    backend::BackendError,
    tree::{NodeSource, TreeStore},
    view::View,
};

use super::Song;
use crate::host::{Host, HostError};

/// The nodes of another store, while the plug is in.
struct Plug {
    store: Arc<TreeStore>,
    out: Arc<AtomicBool>,
}

impl NodeSource for Plug {
    fn load(&self, hash: &Hash) -> Result<Option<Box<[u8]>>, BackendError> {
        if self.out.load(Ordering::Relaxed) {
            return Err(BackendError::Damaged { file: "disk".into(), action: "reading" });
        }
        Ok(self.store.node(hash).ok().map(|node| node.bytes().into()))
    }
}

#[test]
fn what_was_derived_from_less_than_there_is_is_derived_again() {
    let song = Song::new(12, 40);
    let (view, out) = (song.project.view(), Arc::new(AtomicBool::new(false)));
    let store = view.state().store().clone();
    let plugged = TreeStore::new(Box::new(Plug { store, out: Arc::clone(&out) }), 0);
    let plugged = View::of_state(plugged.snapshot(view.root()).unwrap());
    let cut = |host: &Host| {
        out.store(true, Ordering::Relaxed);
        host.db.world.view.state().store().drop_cache();
    };
    let registry = Arc::new(Registry::standard());
    let right = Host::new(view, Arc::clone(&registry));
    let mut host = Host::new(plugged, registry);
    let (id, track, channel) = (song.arrangement, song.tracks[5], song.channels[5]);
    let ask = |host: &Host| -> Result<_, HostError> {
        let view = host.view(ViewName::Arrangement, None, &Window::default())?.hash();
        let (graph, events) = (host.graph(id)?, host.events(id, track)?);
        Ok((view, graph, events, host.params(id, channel)?, host.automation(id)?))
    };
    cut(&host);
    assert!(matches!(ask(&host), Err(HostError::Read(_))));
    assert!(host.play(id).is_err());
    out.store(false, Ordering::Relaxed);
    // Nobody could begin anew yet: the rest of what was derived is no answer.
    host.set_ambient(host.ambient().clone());
    assert_eq!(ask(&host).unwrap(), ask(&right).unwrap());
    let step = host.play(id).unwrap();
    assert!(step.whole);
    cut(&host);
    host.rebuild();
    assert!(ask(&host).is_err());
    out.store(false, Ordering::Relaxed);
    assert!(ask(&host).is_err(), "asking twice makes nothing true");
    host.play(id).unwrap();
    assert_eq!(ask(&host).unwrap(), ask(&right).unwrap());
}
