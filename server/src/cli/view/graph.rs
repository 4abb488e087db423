//! Who feeds whom and who is computed when, in words.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{rows, table::table, text};
use crate::cli::output::Output;

/// The outputs as a tree that ends in the master, with what leaves a channel elsewhere.
pub fn routing(data: &Value, output: &Output) -> String {
    let channels = rows(data, "channels");
    if channels.is_empty() {
        return "no channels\n".to_owned();
    }
    let mut tree = Tree { data, output, seen: BTreeSet::new(), page: String::new() };
    let fed = |id: &str| tree.out_of(id).is_some();
    let ends: Vec<&str> = channels.iter().map(|it| text(it, "id")).filter(|id| !fed(id)).collect();
    for id in ends {
        tree.channel(id, "", "");
    }
    // Whoever is in a loop ends nowhere.
    for channel in channels {
        tree.channel(text(channel, "id"), "", "");
    }
    let mut page = tree.page;
    if let Some(latency) = data["latency"].as_u64().filter(|latency| *latency > 0) {
        page += &output.dim(&format!("everything arrives {latency} frames late, together\n"));
    }
    let cycle = rows(data, "cycle");
    if !cycle.is_empty() || data["cycle"].is_object() {
        page += &output.paint("31", "there is a loop without a delay: `--format dot` shows it\n");
    }
    page
}

struct Tree<'a> {
    data: &'a Value,
    output: &'a Output,
    seen: BTreeSet<&'a str>,
    page: String,
}

impl<'a> Tree<'a> {
    fn routes(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        rows(self.data, "routes").iter()
    }

    /// Where a channel's main output goes.
    fn out_of(&self, id: &str) -> Option<&'a str> {
        let mut outputs = self.routes().filter(|route| text(route, "kind") == "output");
        outputs.find(|route| text(route, "from") == id).map(|route| text(route, "to"))
    }

    fn name(&self, id: &str) -> &'a str {
        let found = rows(self.data, "channels").iter().find(|it| text(it, "id") == id);
        found.map_or("?", |channel| text(channel, "name"))
    }

    fn channel(&mut self, id: &'a str, branch: &str, below: &str) {
        let found = rows(self.data, "channels").iter().find(|it| text(it, "id") == id);
        let Some(channel) = found.filter(|_| self.seen.insert(id)) else { return };
        let mut line = format!("{branch}{}", text(channel, "name"));
        line += &self.output.dim(&format!(" ({})", text(channel, "channelKind")));
        if text(channel, "cohort") == "live" {
            line += " live";
        }
        self.page += &format!("{line}{}\n", self.elsewhere(id));
        let feeders: Vec<&str> = self
            .routes()
            .filter(|route| text(route, "kind") == "output" && text(route, "to") == id)
            .map(|route| text(route, "from"))
            .filter(|from| !self.seen.contains(from))
            .collect();
        for (at, from) in feeders.iter().enumerate() {
            let (branch, more) =
                if at + 1 == feeders.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.channel(from, &format!("{below}{branch}"), &format!("{below}{more}"));
        }
    }

    /// Sends, side chains and taps of a channel.
    fn elsewhere(&self, id: &str) -> String {
        let leaving = self.routes().filter(|it| text(it, "from") == id);
        let others = leaving.filter(|route| text(route, "kind") != "output");
        let told: Vec<String> = others
            .map(|route| {
                let tap = if text(route, "tap") == "preFader" { " pre" } else { "" };
                let delay = route["feedback"].as_u64();
                let delay = delay.map(|it| format!(", {it} frames later")).unwrap_or_default();
                format!("{}{tap} → {}{delay}", text(route, "kind"), self.name(text(route, "to")))
            })
            .collect();
        if told.is_empty() { String::new() } else { format!("   {}", told.join(", ")) }
    }
}

/// Channels with their side and what put them there.
pub fn cohorts(data: &Value, output: &Output) -> String {
    let members = rows(data, "members");
    let body = members
        .iter()
        .filter(|member| text(member, "id") == text(member, "channel"))
        .map(|member| {
            let id = text(member, "id");
            let nodes = members.iter().filter(|it| text(it, "channel") == id).count() - 1;
            let because: Vec<&str> =
                rows(member, "because").iter().filter_map(Value::as_str).collect();
            vec![
                text(member, "name").to_owned(),
                text(member, "cohort").to_owned(),
                nodes.to_string(),
                because.join(" ← "),
            ]
        })
        .collect();
    let (live, ahead) = (&data["live"], &data["anticipative"]);
    let table = table(output, &["channel", "cohort", "nodes", "because"], body, "no channels");
    format!("{table}{live} live, {ahead} ahead of time\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::Colour;

    fn route(from: &str, to: &str, kind: &str) -> Value {
        json!({"from": from, "to": to, "kind": kind, "tap": "preFader", "feedback": null})
    }

    #[test]
    fn the_outputs_are_a_tree_under_the_master() {
        let channel = |id: &str| json!({"id": id, "name": id, "channelKind": "track"});
        let data = json!({
            "channels": [channel("Bass"), channel("Drums"), channel("Group"), channel("Master")],
            "routes": [
                route("Bass", "Group", "output"), route("Drums", "Group", "output"),
                route("Group", "Master", "output"), route("Drums", "Bass", "send"),
            ],
        });
        let drawn = routing(&data, &Output::new(false, 0, Colour::Never));
        let expect = "Master (track)\n└─ Group (track)\n   ├─ Bass (track)\n   \
                      └─ Drums (track)   send pre → Bass\n";
        assert_eq!(drawn, expect);
    }

    #[test]
    fn a_loop_is_drawn_once() {
        let channel = |id: &str| json!({"id": id, "name": id, "channelKind": "track"});
        let data = json!({
            "channels": [channel("A"), channel("B")],
            "routes": [route("A", "B", "output"), route("B", "A", "output")],
        });
        let drawn = routing(&data, &Output::new(false, 0, Colour::Never));
        assert_eq!(drawn.lines().count(), 2, "{drawn}");
    }
}
