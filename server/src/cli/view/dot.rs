//! The graph of channels for Graphviz: live channels stand out, sends are
//! dashed, feedback is dotted, a loop is red.

use std::fmt::Write;

use serde_json::Value;

use super::{rows, text};

pub fn draw(routing: &Value, cohorts: &Value) -> String {
    let mut dot = String::from("digraph routing {\n  rankdir=LR;\n  node [shape=box];\n");
    for channel in rows(routing, "channels") {
        let id = text(channel, "id");
        let member = rows(cohorts, "members").iter().find(|member| text(member, "id") == id);
        let live = member.is_some_and(|member| text(member, "cohort") == "live");
        let mut label = text(channel, "name").to_owned();
        if let Some(member) = member.filter(|_| live) {
            label = format!("{label}\nlive: {}", text(member, "reason"));
        }
        let look = if live { ", style=filled, fillcolor=\"#ffd9d9\"" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(dot, "  {} [label={}{look}];", quote(id), quote(&label));
    }
    for route in rows(routing, "routes") {
        let (from, to) = (quote(text(route, "from")), quote(text(route, "to")));
        let _ = writeln!(dot, "  {from} -> {to}{};", look(route));
    }
    dot.push_str("}\n");
    dot
}

fn look(route: &Value) -> String {
    let mut look = Vec::new();
    match (route["feedback"].as_u64(), text(route, "kind")) {
        (Some(frames), _) => {
            look.push(format!("style=dotted, label={}", quote(&format!("{frames} frames"))));
        }
        (None, "send") => look.push("style=dashed".to_owned()),
        (None, "sidechain") => look.push("style=dashed, arrowhead=empty".to_owned()),
        _ => {}
    }
    if route["inCycle"] == Value::Bool(true) {
        look.push("color=red".to_owned());
    }
    if look.is_empty() { String::new() } else { format!(" [{}]", look.join(", ")) }
}

fn quote(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_live_or_loops_is_seen() {
        let routing = json!({
            "channels": [{"id": "chn_1", "name": "A \"1\""}, {"id": "chn_2", "name": "B"}],
            "routes": [
                {"from": "chn_1", "to": "chn_2", "kind": "output", "inCycle": true},
                {"from": "chn_2", "to": "chn_1", "kind": "send", "feedback": 64},
            ],
        });
        let cohorts = json!({"members": [{"id": "chn_2", "cohort": "live", "reason": "armed"}]});
        let dot = draw(&routing, &cohorts);
        for line in [
            r#""chn_1" [label="A \"1\""];"#,
            r##""chn_2" [label="B\nlive: armed", style=filled, fillcolor="#ffd9d9"];"##,
            r#""chn_1" -> "chn_2" [color=red];"#,
            r#""chn_2" -> "chn_1" [style=dotted, label="64 frames"];"#,
        ] {
            assert!(dot.contains(line), "{dot}");
        }
    }
}
