//! A share of a map stage's units: the grain of scheduling, never of results.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::str::FromStr;

use crate::inventory::{Inventory, InventoryEntry};

/// One of `of` shares, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    of: usize,
}

/// Shares of a stage, at most: each is a pod.
const MOST_SHARDS: usize = 100_000;

impl Shard {
    /// Share `index` of `of`.
    ///
    /// # Errors
    /// Where there is no such share.
    pub fn new(index: usize, of: usize) -> Result<Self, String> {
        if !(1..=MOST_SHARDS).contains(&of) {
            return Err(format!("there are 1 to {MOST_SHARDS} shards, not {of}"));
        }
        if index >= of {
            return Err(format!("of {of} shards the last is {}/{of}: they are counted from 0", of - 1));
        }
        Ok(Self { index, of })
    }

    /// Which of the shares this is, from 0.
    pub fn index(self) -> usize {
        self.index
    }

    /// How many there are.
    pub fn of(self) -> usize {
        self.of
    }

    /// The places of the items that are this share's, in order, by how heavy each item is.
    ///
    /// Heaviest first, each item goes to the lightest share so far, so that no two shares differ by more than one
    /// item's weight; which it is follows from the weights and the order of the items alone.
    pub fn places(self, weights: &[u64]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by_key(|&place| (Reverse(weights[place]), place));
        let mut shares: BinaryHeap<Reverse<(u64, usize)>> =
            (0..self.of).map(|share| Reverse((0, share))).collect();
        let mut mine = Vec::new();
        for place in order {
            let Some(Reverse((weight, share))) = shares.pop() else { break };
            if share == self.index {
                mine.push(place);
            }
            // An empty file is work, too: without this all of them were one share's.
            shares.push(Reverse((weight + weights[place].max(1), share)));
        }
        mine.sort_unstable();
        mine
    }

    /// The part of an inventory that is this share's; broken files without a unit are nobody's.
    pub fn take(self, inventory: &Inventory) -> Inventory {
        let entries: Vec<&InventoryEntry> =
            inventory.entries.iter().filter(|entry| entry.unit.is_some()).collect();
        let weights: Vec<u64> =
            entries.iter().map(|entry| entry.files().map(|file| file.bytes).sum()).collect();
        let entries = self.places(&weights).into_iter().map(|place| entries[place].clone()).collect();
        Inventory { entries, ignored: 0, notes: Vec::new() }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        let (index, of) = parts
            .ok_or_else(|| format!("`{text}` is not a shard: use i/N, counted from 0, as in 0/8 to 7/8"))?;
        Self::new(index, of)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_shard_that_does_not_exist_is_refused() {
        assert_eq!("2/3".parse::<Shard>().unwrap().to_string(), "2/3");
        for text in ["3/3", "0/0", "1", "a/b", "-1/3", "1/3/5", "", "0/100001"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_item_is_in_one_shard_and_shards_weigh_alike(
            weights in prop::collection::vec(0_u64..1000, 0..60),
            of in 1_usize..10,
        ) {
            let shares: Vec<Vec<usize>> =
                (0..of).map(|index| Shard::new(index, of).unwrap().places(&weights)).collect();
            let mut all: Vec<usize> = shares.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..weights.len()).collect::<Vec<_>>());
            let sums: Vec<u64> =
                shares.iter().map(|share| share.iter().map(|&place| weights[place].max(1)).sum()).collect();
            let heaviest = weights.iter().copied().max().unwrap_or(0).max(1);
            let (least, most) = (sums.iter().min().unwrap(), sums.iter().max().unwrap());
            prop_assert!(most - least <= heaviest);
        }
    }
}
