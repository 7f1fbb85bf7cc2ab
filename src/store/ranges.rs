//! Sets of keys as a few ranges: what has changed in a table, and what is still to be sent.

/// Disjoint ranges of keys, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(i64, i64)>);

impl Ranges {
    /// Adds the keys from `first` to `last`; ranges that touch become one. `unit` is the distance of two neighbours.
    pub fn add(&mut self, first: i64, last: i64, unit: i64) {
        let from = self.0.partition_point(|&(_, end)| end < first - unit);
        let until = self.0.partition_point(|&(start, _)| start <= last + unit);
        let (mut start, mut end) = (first, last);
        for &(other_start, other_end) in &self.0[from..until] {
            (start, end) = (start.min(other_start), end.max(other_end));
        }
        self.0.splice(from..until, [(start, end)]);
    }

    /// Joins the nearest neighbours until no more than `most` ranges are left: keys between them count as members, too.
    pub fn coarsen(&mut self, most: usize) {
        while self.0.len() > most {
            let gap = |place: &usize| self.0[place + 1].0 - self.0[*place].1;
            let Some(place) = (0..self.0.len() - 1).min_by_key(gap) else {
                return;
            };
            self.0[place].1 = self.0[place + 1].1;
            self.0.remove(place + 1);
        }
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.0.iter().copied()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Empties the set and gives what was in it.
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Held against a plain set of keys.
        #[test]
        fn holds_what_was_added_and_nothing_else(added in prop::collection::vec((0..200i64, 0..9i64), 0..30)) {
            let mut ranges = Ranges::default();
            let mut keys = BTreeSet::new();
            for (first, length) in added {
                ranges.add(first, first + length, 1);
                keys.extend(first..=first + length);
            }
            let held: BTreeSet<i64> = ranges.iter().flat_map(|(first, last)| first..=last).collect();
            prop_assert_eq!(&held, &keys);
            let apart = ranges.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0);
            prop_assert!(apart, "ranges that touch are one: {:?}", ranges);
            let mut coarse = ranges.clone();
            coarse.coarsen(3);
            prop_assert!(coarse.0.len() <= 3);
            let still: BTreeSet<i64> = coarse.iter().flat_map(|(first, last)| first..=last).collect();
            prop_assert!(still.is_superset(&keys));
        }
    }

    #[test]
    fn neighbours_at_the_tables_own_distance_are_one() {
        let mut ranges = Ranges::default();
        for minute in [3, 1, 2, 7] {
            ranges.add(minute * 60, minute * 60, 60);
        }
        assert_eq!(ranges.0, [(60, 180), (420, 420)]);
    }
}
