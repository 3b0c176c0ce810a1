//! Which rows a table has, and what each of them belongs to.

use specmill_schemas::catalogs::{CatalogColumn, CatalogTable, Origin};

use super::chance::{below, mix, uniform};
use super::host::Host;
use super::recipe::Recipe;
use crate::draw::fnv1a;

/// What a row may belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// The first: the zone of a galaxy, the void of a zone, the group of a galaxy.
    First,
    /// The second: the void of a zone at the other threshold, the members of a group.
    Second,
}

/// One row of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// The target it describes, or near which it lies.
    pub(super) host: Option<u32>,
    /// Its number within its target, or within the table.
    pub(super) ordinal: u32,
    pub(super) links: [i32; 2],
}

/// Galaxies per zone: a few hundred in the genuine catalogues, fewer here so that small runs have zones too.
const GALAXIES_PER_ZONE: usize = 40;
/// Spheres that make a void of VoidFinder, as 89,003 holes are to 3,241 voids.
const HOLES_PER_VOID: u32 = 27;
/// Largest group.
const LARGEST_GROUP: u64 = 6;

/// The targets a table is about, what there may be of each, and the share of them that is there.
struct Choice {
    spectypes: &'static [&'static str],
    z: (f64, f64),
    share: f64,
    bright: bool,
}

const ANY: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

fn choice(table: &str) -> Option<Choice> {
    let of = |spectypes, z, share| Some(Choice { spectypes, z, share, bright: false });
    match table {
        name if name.starts_with("fastspec") => of(&["GALAXY", "QSO"], (0.001, 6.0), 0.95),
        "agngal" | "agngal_aux" => of(&["GALAXY", "QSO"], (0.001, 6.0), 0.9),
        name if name.starts_with("gfinder") => of(&["GALAXY"], (0.0, 1.0), 0.9),
        name if name.starts_with("v2_") || name.starts_with("voidfinder_") => {
            Some(Choice { bright: true, ..of(&["GALAXY"], (0.01, 0.24), 0.95)? })
        }
        "qso" | "qso_tile" => of(&["QSO"], ANY, 0.95),
        "bal" => of(&["QSO"], (1.57, 5.0), 0.95),
        "zlya" => of(&["QSO"], (1.6, 6.0), 0.9),
        "civ_sightlines" | "civ_parents" => of(&["QSO"], (1.45, 5.0), 1.0),
        "mgii_absorbers" => of(&["QSO"], (0.4, 3.0), 1.0),
        "civ_absorbers" => of(&["QSO"], (1.45, 5.0), 1.0),
        "qmassiron" => of(&["QSO"], (0.0, 3.0), 0.85),
        _ => None,
    }
}

/// Recipes of the columns that link the tables of a catalogue.
pub(super) fn link_of(table: &str, ours: &str, theirs: &str) -> Option<Recipe> {
    let named = |names: &[&str]| names.iter().any(|name| *name == ours || *name == theirs);
    let group = named(&["igrp"]);
    let (own, first, second) = (Recipe::Ordinal, Recipe::Link(Link::First), Recipe::Link(Link::Second));
    match table {
        "voidfinder_maximals" | "v2_voids" if named(&["void", "void_id"]) => Some(own),
        "voidfinder_holes" if named(&["void", "void_id", "flag"]) => Some(first),
        "v2_zonevoid" if named(&["zone"]) => Some(own),
        "v2_zonevoid" if named(&["void0"]) => Some(first),
        "v2_zonevoid" if named(&["void1"]) => Some(second),
        "v2_galzone" if named(&["gal", "galaxy"]) => Some(own),
        "v2_galzone" if named(&["zone"]) => Some(first),
        "v2_galzone" if named(&["depth"]) => Some(second),
        "gfinder_groups" if group => Some(own),
        "gfinder_groups" if named(&["rich"]) => Some(second),
        "gfinder_links" if group => Some(first),
        "gfinder_links" if named(&["rank"]) => Some(second),
        "gfinder_galaxies" | "gfinder_links" if named(&["igal"]) => Some(own),
        _ => None,
    }
}

/// The targets that a file is about, by position.
pub(super) type Hosts<'a> = [(u32, &'a Host)];

/// What a file of a catalogue is about, besides its targets.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) seed: u64,
    pub(super) cap: &'a str,
    pub(super) algorithm: &'a str,
}

/// Rows of a table in a file, from the targets that the file is about.
pub(super) fn rows(table: &CatalogTable, scope: Scope<'_>, hosts: &Hosts<'_>) -> Vec<Slot> {
    // One salt for the tables of a catalogue: they leave out the same targets.
    let catalogue = table.name.split('_').next().unwrap_or_default();
    let salt = mix(scope.seed, fnv1a(catalogue));
    let chosen = chosen(table, salt, hosts);
    let near = |n: u32| {
        let at = below(mix(salt ^ 5, u64::from(n)), chosen.len() as u64);
        chosen.get(usize::try_from(at).unwrap_or(0)).map(|(index, _)| *index)
    };
    let web = Web::new(scope, chosen.len());
    let slot = |host: Option<u32>, ordinal: u32, links: [i32; 2]| Slot { host, ordinal, links };
    let targets = || (0_u32..).zip(&chosen).map(|(n, (index, host))| (n, Some(*index), *host));
    match table.name.as_str() {
        // The quasars of CIV absorbers stand in a table of their own, row by row.
        name if name.contains("absorber") || name == "civ_sightlines" => absorbers(salt, &chosen),
        "voidfinder_maximals" | "v2_voids" => {
            (0..web.voids).map(|void| slot(near(void), void, [0, 0])).collect()
        }
        "voidfinder_holes" => (0..web.voids * HOLES_PER_VOID)
            .map(|hole| slot(near(hole / HOLES_PER_VOID), hole, [int(hole / HOLES_PER_VOID), 0]))
            .collect(),
        "v2_zonevoid" => (0..web.zones)
            .map(|zone| slot(None, zone, [web.void_of(zone, 0), web.void_of(zone, 1)]))
            .collect(),
        "v2_galzone" => targets().map(|(n, index, host)| slot(index, n, web.zone_and_depth(host))).collect(),
        "gfinder_groups" => {
            let mut groups: Vec<Slot> = Vec::new();
            for ((_, index, _), (group, rank)) in targets().zip(groups_of(salt, chosen.len())) {
                if rank == 0 {
                    groups.push(slot(index, u32::try_from(group).unwrap_or(0), [group, 0]));
                }
                // Its members so far.
                if let Some(last) = groups.last_mut() {
                    last.links[1] += 1;
                }
            }
            groups
        }
        "gfinder_links" => {
            let places = groups_of(salt, chosen.len());
            targets()
                .zip(places)
                .map(|((n, index, _), (group, rank))| slot(index, n, [group, rank]))
                .collect()
        }
        _ if is_of_targets(table) => targets().map(|(n, index, _)| slot(index, n, [0, 0])).collect(),
        // Something else: a quarter as many as there are targets, each somewhere near one.
        _ => {
            let n = u32::try_from(hosts.len().div_ceil(4)).unwrap_or(u32::MAX);
            (0..n).map(|n| slot(near(n), n, [0, 0])).collect()
        }
    }
}

/// The targets that the table has, or is made from.
fn chosen<'a>(table: &CatalogTable, salt: u64, hosts: &Hosts<'a>) -> Vec<(u32, &'a Host)> {
    let several = |name: &String| matches!(name.as_str(), "survey" | "tileid" | "unit" | "row");
    let once = table.unique && !table.key.iter().any(several);
    let choice = choice(&table.name);
    let wanted = |(_, host): &&(u32, &'a Host)| {
        let fits = choice.as_ref().is_none_or(|choice| {
            host.is(choice.spectypes, choice.z)
                && (!choice.bright || host.is_bright())
                && uniform(mix(salt, host.row.targetid.cast_unsigned())) < choice.share
        });
        fits && !(once && host.row.repeat)
    };
    hosts.iter().filter(wanted).copied().collect()
}

/// Whether each row describes a target.
fn is_of_targets(table: &CatalogTable) -> bool {
    let names_it = |column: &CatalogColumn| {
        column.field.name == "targetid" || matches!(column.origin, Origin::LegacyId(_))
    };
    table.columns.iter().any(names_it)
}

fn int(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// None to four in front of each.
fn absorbers(salt: u64, hosts: &Hosts<'_>) -> Vec<Slot> {
    let of = |(index, host): &(u32, &Host)| {
        let hash = mix(salt ^ 0xab50, host.row.targetid.cast_unsigned());
        let n = if uniform(hash) < 0.6 { 0 } else { 1 + below(mix(hash, 1), 4) };
        let host = Some(*index);
        (0..u32::try_from(n).unwrap_or(0)).map(move |ordinal| Slot { host, ordinal, links: [0, 0] })
    };
    hosts.iter().flat_map(of).collect()
}

/// The group of each of `n` galaxies, and its rank therein: neighbours in the list are together.
fn groups_of(salt: u64, n: usize) -> Vec<(i32, i32)> {
    let (mut groups, mut group) = (Vec::with_capacity(n), 0_u32);
    while groups.len() < n {
        let hash = mix(salt ^ 0x6206, u64::from(group));
        let size = if uniform(hash) < 0.7 { 1 } else { 2 + below(mix(hash, 1), LARGEST_GROUP - 1) };
        let size = size.min((n - groups.len()) as u64);
        groups.extend((0_i32..).take(usize::try_from(size).unwrap_or(0)).map(|rank| (int(group), rank)));
        group += 1;
    }
    groups
}

/// Zones and voids in one cap; the algorithms of V2 have the zones in common.
struct Web {
    zone_salt: u64,
    void_salt: u64,
    zones: u32,
    voids: u32,
}

impl Web {
    fn new(scope: Scope<'_>, galaxies: usize) -> Self {
        let zones = u32::try_from(galaxies / GALAXIES_PER_ZONE).unwrap_or(u32::MAX - 3) + 3;
        let zone_salt = mix(scope.seed, fnv1a(scope.cap));
        // To ZOBOV every zone is a void.
        let voids = if scope.algorithm == "ZOBOV" { zones } else { zones * 4 / 7 };
        Self { zone_salt, void_salt: mix(zone_salt, fnv1a(scope.algorithm)), zones, voids }
    }

    /// The zone of a galaxy and how deep in it the galaxy is; some lie in none.
    fn zone_and_depth(&self, host: &Host) -> [i32; 2] {
        let hash = mix(self.zone_salt, host.row.targetid.cast_unsigned());
        if uniform(hash) < 0.08 {
            return [-1, -1];
        }
        [below(mix(hash, 1), u64::from(self.zones)), below(mix(hash, 2), 9)]
            .map(|value| i32::try_from(value).unwrap_or(-1))
    }

    /// The void of a zone at one of two thresholds; some belong to none.
    fn void_of(&self, zone: u32, threshold: u64) -> i32 {
        let hash = mix(self.void_salt ^ (2 + threshold), u64::from(zone));
        if uniform(hash) < 0.3 {
            return -1;
        }
        i32::try_from(below(mix(hash, 1), u64::from(self.voids))).unwrap_or(-1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_follow_one_another_without_a_gap() {
        let places = groups_of(3, 1000);
        assert_eq!((places.len(), places[0]), (1000, (0, 0)));
        for pair in places.windows(2) {
            let ((group, rank), (next, next_rank)) = (pair[0], pair[1]);
            assert!(
                (next, next_rank) == (group, rank + 1) || (next, next_rank) == (group + 1, 0),
                "{pair:?}"
            );
        }
        assert!(places.iter().any(|(_, rank)| *rank > 2));
    }

    #[test]
    fn a_zone_belongs_to_voids_that_are_there() {
        for algorithm in ["REVOLVER", "VIDE", "ZOBOV"] {
            let web = Web::new(Scope { seed: 1, cap: "NGC", algorithm }, 8000);
            let voids: Vec<i32> =
                (0..web.zones).flat_map(|zone| [web.void_of(zone, 0), web.void_of(zone, 1)]).collect();
            assert!(voids.iter().all(|void| (-1..i32::try_from(web.voids).unwrap()).contains(void)));
            assert!(voids.contains(&-1) && voids.iter().any(|void| *void > 50));
        }
    }
}
