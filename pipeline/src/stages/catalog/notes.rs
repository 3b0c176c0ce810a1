//! What was left NULL and why, in sentences that stay short for a table of 900 columns.

use super::bind::Layout;
use super::block::Counts;
use super::gaps::Gaps;
use crate::fits::bintable::Notes;

/// Columns that a sentence names.
const NAMED: usize = 40;

/// The sentences of a unit.
pub(super) fn sentences(layout: &Layout, counts: &Counts) -> Vec<String> {
    type Of = fn(&Gaps, &Notes) -> u64;
    let kinds: [(&str, Of); 8] = [
        ("NULL where the file has none itself", |gaps, notes| {
            gaps.absent - notes.odd_logicals.min(gaps.absent)
        }),
        ("NULL for NaN", |gaps, _| gaps.nan),
        ("NULL for an infinity", |gaps, _| gaps.infinite),
        ("NULL for a value that stands for nothing", |gaps, _| gaps.sentinel),
        ("NULL where the weight is 0", |gaps, _| gaps.zero_weight),
        ("NULL for a logical neither T nor F nor 0", |_, notes| notes.odd_logicals),
        ("equal to a TNULL that was not followed", |_, notes| notes.tnull_kept),
        ("strings not UTF-8, bytes replaced", |_, notes| notes.replaced_text),
    ];
    let mut sentences = layout.notes.clone();
    for (what, of) in kinds {
        let counted: Vec<(&str, u64)> = layout
            .schema
            .fields()
            .iter()
            .zip(counts.gaps.iter().zip(&counts.notes))
            .map(|(field, (gaps, notes))| (field.name().as_str(), of(gaps, notes)))
            .filter(|(_, n)| *n > 0)
            .collect();
        if counted.is_empty() {
            continue;
        }
        let list: Vec<String> = counted.iter().take(NAMED).map(|(name, n)| format!("{name} {n}")).collect();
        let rest = &counted[list.len()..];
        let mut sentence = format!("{what}: {}", list.join(", "));
        if !rest.is_empty() {
            let values: u64 = rest.iter().map(|(_, n)| n).sum();
            sentence.push_str(&format!(" and {values} in {} more columns", rest.len()));
        }
        sentences.push(sentence);
    }
    sentences
}
