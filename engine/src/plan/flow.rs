//! The graph as petgraph sees it, without a copy of it: what the algorithms ask
//! for lies in the compiler's own tables.

use petgraph::{
    Direction,
    algo::{kosaraju_scc, toposort},
    visit::{
        GraphBase, GraphRef, IntoNeighbors, IntoNeighborsDirected, IntoNodeIdentifiers, VisitMap,
        Visitable,
    },
};

use super::compile::Graph;

/// Sets of nodes one after the other, in topological order.
pub(crate) struct Components {
    nodes: Vec<u32>,
    /// Where each set begins; None if each is one node.
    starts: Option<Vec<u32>>,
}

impl Components {
    pub fn len(&self) -> usize {
        self.starts.as_ref().map_or(self.nodes.len(), |starts| starts.len() - 1)
    }

    /// The members of one, sorted.
    pub fn get(&self, index: usize) -> &[u32] {
        match &self.starts {
            Some(starts) => &self.nodes[starts[index] as usize..starts[index + 1] as usize],
            None => &self.nodes[index..=index],
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The component of each of so many nodes.
    pub fn of(&self, nodes: usize) -> Vec<u32> {
        let mut of = vec![0; nodes];
        for (index, members) in self.iter().enumerate() {
            members.iter().for_each(|&member| of[member as usize] = index as u32);
        }
        of
    }
}

/// The strongly connected components. The error is a loop without feedback edge.
pub(crate) fn components(graph: &Graph<'_>) -> Result<Components, Vec<u32>> {
    // Most graphs have no loop at all.
    if let Ok(nodes) = toposort(Flow { graph, feedback: true }, None) {
        return Ok(Components { nodes, starts: None });
    }
    let open = Flow { graph, feedback: false };
    let looping = kosaraju_scc(open).into_iter().find(|members| {
        members.len() > 1 || open.neighbors(members[0]).any(|next| next == members[0])
    });
    if let Some(members) = looping {
        return Err(members);
    }
    let (mut nodes, mut starts) = (Vec::with_capacity(graph.nodes.len()), vec![0]);
    for members in kosaraju_scc(Flow { graph, feedback: true }).into_iter().rev() {
        let first = nodes.len();
        nodes.extend(members);
        nodes[first..].sort_unstable();
        starts.push(nodes.len() as u32);
    }
    Ok(Components { nodes, starts: Some(starts) })
}

#[derive(Clone, Copy)]
struct Flow<'f, 'g> {
    graph: &'f Graph<'g>,
    /// Whether feedback edges count.
    feedback: bool,
}

impl GraphBase for Flow<'_, '_> {
    type NodeId = u32;
    type EdgeId = u32;
}

impl GraphRef for Flow<'_, '_> {}

impl<'f, 'g> IntoNeighbors for Flow<'f, 'g> {
    type Neighbors = Neighbors<'f, 'g>;

    fn neighbors(self, node: u32) -> Neighbors<'f, 'g> {
        Neighbors { flow: self, out: self.graph.edges_out(node), into: 0..0 }
    }
}

impl<'f, 'g> IntoNeighborsDirected for Flow<'f, 'g> {
    type NeighborsDirected = Neighbors<'f, 'g>;

    fn neighbors_directed(self, node: u32, direction: Direction) -> Neighbors<'f, 'g> {
        match direction {
            Direction::Outgoing => self.neighbors(node),
            Direction::Incoming => {
                Neighbors { flow: self, out: &[], into: self.graph.edges_into_range(node) }
            }
        }
    }
}

/// The other ends of a node's edges, of one direction.
struct Neighbors<'f, 'g> {
    flow: Flow<'f, 'g>,
    out: &'f [u32],
    into: std::ops::Range<usize>,
}

impl Iterator for Neighbors<'_, '_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let Flow { graph, feedback } = self.flow;
        loop {
            let (edge, other) = if let Some((&first, rest)) = self.out.split_first() {
                self.out = rest;
                let edge = &graph.edges[first as usize];
                (edge, edge.to)
            } else {
                let edge = &graph.edges[self.into.next()?];
                (edge, edge.from)
            };
            if feedback || edge.feedback == 0 {
                return Some(other);
            }
        }
    }
}

impl IntoNodeIdentifiers for Flow<'_, '_> {
    type NodeIdentifiers = std::ops::Range<u32>;

    fn node_identifiers(self) -> std::ops::Range<u32> {
        0..self.graph.nodes.len() as u32
    }
}

/// A flag per node.
struct Seen(Vec<bool>);

impl VisitMap<u32> for Seen {
    fn visit(&mut self, node: u32) -> bool {
        !std::mem::replace(&mut self.0[node as usize], true)
    }

    fn is_visited(&self, node: &u32) -> bool {
        self.0[*node as usize]
    }

    fn unvisit(&mut self, node: u32) -> bool {
        std::mem::replace(&mut self.0[node as usize], false)
    }
}

impl Visitable for Flow<'_, '_> {
    type Map = Seen;

    fn visit_map(&self) -> Seen {
        Seen(vec![false; self.graph.nodes.len()])
    }

    fn reset_map(&self, map: &mut Seen) {
        map.0.clear();
        map.0.resize(self.graph.nodes.len(), false);
    }
}
