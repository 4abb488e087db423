//! Finding the one wrong byte of what has a hash or a check.
//!
//! A disk that loses a bit loses one, so single bits are tried first and everywhere; other values
//! only where nothing else led to what is missing, and within a bound. A node has a quarter of a
//! million bytes that could stand in the place of one, and each means a hash: so the part of it
//! that lies before the byte is computed once, eight candidates go through the rest together, and
//! nodes are shared out among the cores. What comes out does not depend on how many there are.

#[allow(unsafe_code, reason = "vectors by name; memory is never touched")]
mod lanes;

use std::sync::atomic::{AtomicUsize, Ordering};

use pulse_schemas::hash::Hash;

use self::lanes::{LANES, Lanes};
use crate::node::Node;

/// Bytes that are longer are not searched for a wrong one: the time grows with the square.
const MENDABLE: usize = 16 << 10;
/// Up to here every value of every byte is tried, beyond only single bits.
const MENDABLE_BYTES: usize = 4 << 10;
/// Values of bytes that one repair tries in all nodes together.
pub(super) const TRIES: u64 = 1 << 31;

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// The other value of each bit.
    Bits,
    /// Every other value of each byte.
    Bytes,
}

/// `bytes` with the one byte put right that is wrong, if that is all that is wrong.
pub(super) fn mend(bytes: &[u8], is_right: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    if bytes.len() > MENDABLE {
        return None;
    }
    let efforts: &[Effort] = match bytes.len() <= MENDABLE_BYTES {
        true => &[Effort::Bits, Effort::Bytes],
        false => &[Effort::Bits],
    };
    let flips = efforts.iter().flat_map(|effort| flips(*effort)).flatten();
    for flip in flips.filter(|flip| *flip != 0) {
        for at in 0..bytes.len() {
            bytes[at] ^= flip;
            if is_right(&bytes) {
                return Some(bytes);
            }
            bytes[at] ^= flip;
        }
    }
    None
}

/// What to change a byte by, eight at a time.
fn flips(effort: Effort) -> Vec<[u8; LANES]> {
    let all: Vec<u8> = match effort {
        Effort::Bits => (0..8).map(|bit| 1u8 << bit).collect(),
        Effort::Bytes => (1..=255u8).filter(|flip| !flip.is_power_of_two()).collect(),
    };
    // A flip by nothing is the node as it is, which is wrong.
    let lanes = |part: &[u8]| std::array::from_fn(|lane| part.get(lane).copied().unwrap_or(0));
    all.chunks(LANES).map(lanes).collect()
}

/// What came of a search.
#[derive(Default)]
pub(super) struct Mended {
    pub nodes: Vec<Node>,
    /// Those that were searched in vain.
    pub given_up: Vec<Hash>,
    /// How many were left out, because the search is bounded.
    pub left_out: usize,
}

/// Puts right the nodes in which one byte is wrong, each under the hash that it should have.
/// Searching for bytes takes from `tries`.
pub(super) fn mend_nodes(damaged: &[(Hash, &[u8])], effort: Effort, tries: &mut u64) -> Mended {
    let (within, left_out) = within(damaged, effort, tries);
    let mut nodes = in_parallel(&within, |(hash, bytes)| mend_node(*hash, bytes, effort));
    nodes.sort_by_key(|node| node.hash());
    let is_found = |hash: &Hash| nodes.binary_search_by_key(hash, |node| node.hash()).is_ok();
    let given_up = within.iter().map(|(hash, _)| *hash).filter(|hash| !is_found(hash)).collect();
    Mended { nodes, given_up, left_out }
}

/// The nodes that a search takes on, and how many it leaves out.
fn within<'a>(
    damaged: &[(Hash, &'a [u8])],
    effort: Effort,
    tries: &mut u64,
) -> (Vec<(Hash, &'a [u8])>, usize) {
    let longest = if effort == Effort::Bits { MENDABLE } else { MENDABLE_BYTES };
    let mut mendable = damaged.to_vec();
    mendable.retain(|(_, bytes)| (1..=longest).contains(&bytes.len()));
    let mut is_within = |(_, bytes): &&(Hash, &[u8])| {
        let cost = if effort == Effort::Bits { 0 } else { bytes.len() as u64 * 256 };
        tries.checked_sub(cost).map(|left| *tries = left).is_some()
    };
    let count = mendable.iter().take_while(&mut is_within).count();
    let left_out = mendable.len() - count;
    mendable.truncate(count);
    (mendable, left_out)
}

fn in_parallel<T: Sync, R: Send>(of: &[T], work: impl Fn(&T) -> Option<R> + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(of.len()).min(16);
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while let Some(one) = of.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.extend(work(one));
        }
        done
    };
    if threads < 2 {
        return worker();
    }
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let results = workers
            .into_iter()
            .map(|it| it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        results.flatten().collect()
    })
}

fn mend_node(hash: Hash, bytes: &[u8], effort: Effort) -> Option<Node> {
    let (at, flip) = Search::over(bytes).find(&hash, &flips(effort))?;
    let mut bytes = bytes.to_vec();
    bytes[at] ^= flip;
    Node::parse(bytes.into()).ok().filter(|node| node.hash() == hash)
}

const BLOCK: usize = 64;
const CHUNK: usize = 1024;

/// A chaining value of several candidates.
type Chain = [Lanes; 8];

const IV: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];
const START: u32 = 1;
const END: u32 = 2;
const PARENT: u32 = 4;
const ROOT: u32 = 8;
/// The words of the message in the order of the next round.
const ORDER: [usize; 16] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];

/// BLAKE3's compression of several candidates at once, as its paper has it.
fn compress(
    chain: &Chain,
    message: &[Lanes; 16],
    counter: u64,
    (length, flags): (u32, u32),
) -> Chain {
    let ends = [counter as u32, (counter >> 32) as u32, length, flags];
    let mut state: [Lanes; 16] = std::array::from_fn(|word| match word {
        0..8 => chain[word],
        8..12 => Lanes::all(IV[word - 8]),
        _ => Lanes::all(ends[word - 12]),
    });
    let mut words = *message;
    for round in 0..7 {
        mix(&mut state, [0, 4, 8, 12], words[0], words[1]);
        mix(&mut state, [1, 5, 9, 13], words[2], words[3]);
        mix(&mut state, [2, 6, 10, 14], words[4], words[5]);
        mix(&mut state, [3, 7, 11, 15], words[6], words[7]);
        mix(&mut state, [0, 5, 10, 15], words[8], words[9]);
        mix(&mut state, [1, 6, 11, 12], words[10], words[11]);
        mix(&mut state, [2, 7, 8, 13], words[12], words[13]);
        mix(&mut state, [3, 4, 9, 14], words[14], words[15]);
        if round < 6 {
            words = std::array::from_fn(|at| words[ORDER[at]]);
        }
    }
    std::array::from_fn(|word| state[word].xor(state[word + 8]))
}

#[inline(always)]
fn mix(state: &mut [Lanes; 16], [a, b, c, d]: [usize; 4], x: Lanes, y: Lanes) {
    state[a] = state[a].plus(state[b]).plus(x);
    state[d] = state[d].xor(state[a]).rotate::<16, 16>();
    state[c] = state[c].plus(state[d]);
    state[b] = state[b].xor(state[c]).rotate::<12, 20>();
    state[a] = state[a].plus(state[b]).plus(y);
    state[d] = state[d].xor(state[a]).rotate::<8, 24>();
    state[c] = state[c].plus(state[d]);
    state[b] = state[b].xor(state[c]).rotate::<7, 25>();
}

/// One block of 64 bytes as the hash takes it.
struct Block {
    message: [Lanes; 16],
    counter: u64,
    length: u32,
    flags: u32,
    /// The chaining value before it.
    before: Chain,
}

impl Block {
    fn run(&self, chain: &Chain, message: &[Lanes; 16]) -> Chain {
        compress(chain, message, self.counter, (self.length, self.flags))
    }
}

/// What of a hash stays when one byte changes.
struct Search {
    chunks: Vec<Vec<Block>>,
    /// What each chunk comes to as it is.
    chains: Vec<Chain>,
}

impl Search {
    fn over(bytes: &[u8]) -> Search {
        let mut search = Search { chunks: Vec::new(), chains: Vec::new() };
        let single = bytes.len() <= CHUNK;
        for (number, chunk) in bytes.chunks(CHUNK).enumerate() {
            let last = chunk.len().div_ceil(BLOCK) - 1;
            let mut chain: Chain = IV.map(Lanes::all);
            let mut blocks = Vec::with_capacity(last + 1);
            for (at, part) in chunk.chunks(BLOCK).enumerate() {
                let mut padded = [0; BLOCK];
                padded[..part.len()].copy_from_slice(part);
                let word = |at: usize| {
                    u32::from_le_bytes(std::array::from_fn(|byte| padded[at * 4 + byte]))
                };
                let end = if single { END | ROOT } else { END };
                let flags = if at == 0 { START } else { 0 } | if at == last { end } else { 0 };
                let block = Block {
                    message: std::array::from_fn(word).map(Lanes::all),
                    counter: number as u64,
                    length: part.len() as u32,
                    flags,
                    before: chain,
                };
                chain = block.run(&chain, &block.message);
                blocks.push(block);
            }
            search.chunks.push(blocks);
            search.chains.push(chain);
        }
        search
    }

    /// The place of the byte and what to change it by, so that the hash is the right one.
    fn find(&self, hash: &Hash, flips: &[[u8; LANES]]) -> Option<(usize, u8)> {
        let wanted: [u32; 8] = std::array::from_fn(|word| {
            u32::from_le_bytes(std::array::from_fn(|byte| hash.0[word * 4 + byte]))
        });
        for (chunk, blocks) in self.chunks.iter().enumerate() {
            for (block, it) in blocks.iter().enumerate() {
                for byte in 0..it.length as usize {
                    for flips in flips {
                        let hashes = self.with(chunk, block, byte, flips);
                        let first = hashes[0].to_array();
                        let is_it = |lane: &usize| {
                            first[*lane] == wanted[0]
                                && (1..8).all(|at| hashes[at].to_array()[*lane] == wanted[at])
                        };
                        if let Some(lane) = (0..LANES).find(is_it) {
                            return Some((chunk * CHUNK + block * BLOCK + byte, flips[lane]));
                        }
                    }
                }
            }
        }
        None
    }

    /// The hash with one byte changed, in eight ways.
    fn with(&self, chunk: usize, block: usize, byte: usize, flips: &[u8; LANES]) -> Chain {
        let (first, rest) = (&self.chunks[chunk][block], &self.chunks[chunk][block + 1..]);
        let mut message = first.message;
        let shift = 8 * (byte % 4);
        message[byte / 4] =
            message[byte / 4].xor(Lanes::each(flips.map(|flip| u32::from(flip) << shift)));
        let mut chain = first.run(&first.before, &message);
        for block in rest {
            chain = block.run(&chain, &block.message);
        }
        self.root(0..self.chunks.len(), (chunk, &chain), ROOT)
    }

    /// What chunks come to together, one of them being another.
    fn root(&self, chunks: std::ops::Range<usize>, changed: (usize, &Chain), flags: u32) -> Chain {
        if chunks.len() == 1 {
            return match chunks.start == changed.0 {
                true => *changed.1,
                false => self.chains[chunks.start],
            };
        }
        // The left side is the largest power of two that leaves something to the right.
        let left = chunks.len().next_power_of_two() / 2;
        let middle = chunks.start + left;
        let left = self.root(chunks.start..middle, changed, 0);
        let right = self.root(middle..chunks.end, changed, 0);
        let message = std::array::from_fn(|at| if at < 8 { left[at] } else { right[at - 8] });
        let chain = IV.map(Lanes::all);
        compress(&chain, &message, 0, (BLOCK as u32, PARENT | flags))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 7 + at / 256) as u8).collect()
    }

    #[test]
    fn the_wrong_byte_is_found_wherever_it_lies() {
        for length in [1, 63, 64, 65, 1_000, 1_024, 1_025, 2_048, 3_100, 4_096, 5_000, 9_000] {
            let right = bytes(length);
            let hash = Hash::of(&right);
            for at in [0, length / 3, length / 2, length.saturating_sub(70), length - 1] {
                for (flip, effort) in [(0x20, Effort::Bits), (0xf1, Effort::Bytes)] {
                    if effort == Effort::Bytes && length > 1_100 {
                        continue;
                    }
                    let mut wrong = right.clone();
                    wrong[at] ^= flip;
                    let found = Search::over(&wrong).find(&hash, &flips(effort));
                    assert_eq!(found, Some((at, flip)), "{length} bytes");
                }
            }
            let mut two = right.clone();
            two[0] ^= 3;
            assert_eq!(Search::over(&two).find(&hash, &flips(Effort::Bits)), None);
        }
    }

    #[test]
    fn every_other_value_is_tried_once() {
        let mut all: Vec<u8> =
            [Effort::Bits, Effort::Bytes].into_iter().flat_map(flips).flatten().collect();
        all.retain(|flip| *flip != 0);
        all.sort_unstable();
        assert_eq!(all, (1..=255).collect::<Vec<u8>>());
    }

    #[test]
    fn the_search_is_bounded_and_says_what_it_leaves_out() {
        let junk = bytes(4_096);
        let damaged: Vec<(Hash, &[u8])> =
            (0..3_000u32).map(|at| (Hash::of(&at.to_le_bytes()), &junk[..])).collect();
        let most = (TRIES / (4_096 * 256)) as usize;
        let found = |effort| {
            let (within, left_out) = within(&damaged, effort, &mut TRIES.clone());
            (within.len(), left_out)
        };
        assert_eq!(found(Effort::Bytes), (most, 3_000 - most));
        assert_eq!(found(Effort::Bits), (3_000, 0));
        let empty = within(&[(Hash::of(b""), &junk[..0])], Effort::Bits, &mut 0);
        assert_eq!((empty.0.len(), empty.1), (0, 0));
    }
}
