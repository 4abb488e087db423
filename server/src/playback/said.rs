//! What the engine says many times at once, said once: after a large change every channel may
//! have the same to say, and a log of two thousand lines hides the one that matters.

use std::fmt::Display;

/// Each text once with how often it was said, in the order of when it was said first.
#[derive(Default)]
pub struct Said(Vec<(String, usize)>);

impl Said {
    pub fn of<T: Display>(all: impl IntoIterator<Item = T>) -> Said {
        let mut said = Said::default();
        all.into_iter().for_each(|it| said.add(it));
        said
    }

    pub fn add(&mut self, what: impl Display) {
        let text = what.to_string();
        match self.0.iter_mut().find(|(known, _)| *known == text) {
            Some((_, count)) => *count += 1,
            None => self.0.push((text, 1)),
        }
    }

    pub fn lines(self) -> impl Iterator<Item = String> {
        self.0.into_iter().map(|(text, count)| match count {
            1 => text,
            count => format!("{text} ({count} times)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_of_a_thousand_channels_are_one_line() {
        let words =
            (0..1_000).flat_map(|at| ["gone"].into_iter().chain((at == 7).then_some("full")));
        let lines: Vec<String> = Said::of(words).lines().collect();
        assert_eq!(lines, ["gone (1000 times)", "full"]);
        assert_eq!(Said::of([""; 0]).lines().count(), 0);
    }
}
