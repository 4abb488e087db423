//! A plan as text: the same for the same graph on every machine, so that a test
//! can hold it against a golden one and a reader can follow a signal.

use std::fmt::{self, Write as _};

use super::{Op, Plan, Slot};

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Slot::NONE => f.write_str("-"),
            slot if slot.is_shared() => write!(f, "s{}", slot.index()),
            slot => write!(f, "b{}", slot.index()),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "plan {} Hz, blocks of {}, {}+{} buffers, {}+{} lane blocks",
            self.sample_rate,
            self.max_block,
            self.local_slots,
            self.shared_slots,
            self.local_blocks,
            self.shared_blocks
        )?;
        for (index, task) in self.tasks.iter().enumerate() {
            if self.tasks.len() > 1 {
                writeln!(f, "task {index} after {:?}", task.after)?;
            }
            let mut inside = 0;
            for op in &task.ops {
                f.write_str(if inside > 0 { "    " } else { "  " })?;
                inside = match op {
                    Op::Region { ops, .. } => *ops,
                    _ => inside.saturating_sub(1),
                };
                self.write_op(f, op)?;
                f.write_char('\n')?;
            }
        }
        Ok(())
    }
}

impl Plan {
    fn write_op(&self, f: &mut fmt::Formatter<'_>, op: &Op) -> fmt::Result {
        match *op {
            Op::Clear { dst, .. } => write!(f, "{dst} = 0"),
            Op::Copy { src, dst, from, to } => write!(f, "{dst} = {src}{}", mix(from, to)),
            Op::Add { src, dst, from, to } => write!(f, "{dst} += {src}{}", mix(from, to)),
            Op::Delay { line, src, dst, .. } => {
                let line = &self.lines[line as usize];
                write!(f, "{dst} = {src} delayed {}", line.frames)
            }
            Op::FeedbackRead { line, dst, .. } => {
                let line = &self.lines[line as usize];
                write!(f, "{dst} = {} from {} frames ago", line.edge.from, line.frames)
            }
            Op::FeedbackWrite { src, line, .. } => {
                write!(f, "keep {src} for {}", self.lines[line as usize].edge.to)
            }
            Op::Node { node } => self.write_node(f, node),
            Op::Pack { src, block, lane, .. } => write!(f, "L{block}[{lane}] = {src}"),
            Op::Unpack { block, dst, lane, .. } => write!(f, "{dst} = L{block}[{lane}]"),
            Op::AddLanes { block, dst, first, end, .. } => {
                write!(f, "{dst} += L{block}[{first}..{end}]")
            }
            Op::Batch { batch } => self.write_batch(f, batch),
            Op::Output { output, src, .. } => {
                let output = &self.outputs[output as usize];
                write!(f, "out {:?} = {src}, {} frames late", output.kind, output.latency)
            }
            Op::Region { ops, chunk } => write!(f, "loop of {ops}, at most {chunk} frames:"),
        }
    }

    fn write_node(&self, f: &mut fmt::Formatter<'_>, node: u32) -> fmt::Result {
        let planned = &self.nodes[node as usize];
        let list = |ports: &[super::PortSlot]| {
            ports.iter().map(|port| port.slot.to_string()).collect::<Vec<_>>().join(" ")
        };
        let class = self.class(node);
        let unknown = if class.kind.is_none() { " (unknown)" } else { "" };
        write!(
            f,
            "[{}] = {}{unknown} {}({})",
            list(self.outputs_of(node)),
            class.kind_name,
            planned.key,
            list(self.inputs(node)),
        )?;
        if planned.arrival > 0 {
            write!(f, " at −{}", planned.arrival)?;
        }
        for source in &planned.events {
            write!(f, ", events of {}", self.nodes[source.node as usize].key)?;
        }
        for source in &planned.modulations {
            let key = self.nodes[source.node as usize].key;
            write!(f, ", parameter {} moved by {key}:{}", source.param, source.port)?;
            if source.depth != 1.0 {
                write!(f, " × {}", source.depth)?;
            }
        }
        Ok(())
    }

    fn write_batch(&self, f: &mut fmt::Formatter<'_>, batch: u32) -> fmt::Result {
        let planned = &self.batches[batch as usize];
        let name = |&class: &u32| self.classes[class as usize].kind_name.as_str();
        let stages: Vec<&str> = planned.stages.iter().map(name).collect();
        write!(f, "L{} = {} ×{}:", planned.block, stages.join(" → "), planned.members.len())?;
        for chain in planned.members.iter() {
            write!(f, " {}", self.nodes[chain[0] as usize].key)?;
        }
        Ok(())
    }
}

fn mix(from: u8, to: u8) -> &'static str {
    match (from, to) {
        (1, 2) => " to both",
        (2, 1) => " to mono",
        _ => "",
    }
}
