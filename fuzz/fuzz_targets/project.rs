//! Any bytes as what a project is stored in: a row of the journal, a node of the
//! tree, a record, a line of an export.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pulse_schemas::record::{EntityKey, RecordView};
use pulse_store::{
    journal::row::Row,
    node::Node,
    project::{CreateOptions, Project},
    tx::TxMeta,
};

fuzz_target!(|data: &[u8]| {
    if let Ok(row) = Row::decode(data) {
        let mut again = Vec::new();
        row.encode(&mut again);
        assert_eq!(Row::decode(&again).expect("what was written can be read"), row);
    }
    if let Ok(node) = Node::parse(data.into()) {
        for slot in 0..node.len() {
            let (key, value) = (node.key(slot), node.value(slot));
            assert!(key.len() + value.len() <= data.len());
        }
        node.lower_bound(data);
    }
    if let Ok(entity) = RecordView::parse(data).and_then(|record| record.entity()) {
        entity.validate();
        let _ = EntityKey::from_bytes(&EntityKey::of(&entity).to_bytes()).expect("a key of ours");
    }
    if data.starts_with(b"{") {
        let mut project = Project::in_memory(CreateOptions::default()).expect("a new project");
        let before = project.view().root();
        if project.snapshot_import(&mut &*data, TxMeta::default()).is_err() {
            assert_eq!(project.view().root(), before, "a refused import leaves everything");
        }
    }
});
