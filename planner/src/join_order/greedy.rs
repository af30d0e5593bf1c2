//! A good order of a region that is too large to look at all of them: greedy operator ordering.
//!
//! L. Fegaras: "A new heuristic for optimizing large queries" (DEXA 1998). Of all joins that are possible, the one
//! with the fewest rows is next.

use super::relation_set::RelationSet;
use super::search::Search;
use std::collections::HashMap;

/// Joins until nothing is left to join. There may be no order at the end: what is joined first can be in the way
/// of outer joins.
pub fn join(search: &mut Search<'_, '_>) {
    let all = search.graph().region.all();
    let mut parts: Vec<RelationSet> = all.iter().map(RelationSet::single).collect();
    let mut outlooks = HashMap::new();
    while parts.len() > 1 {
        let mut next: Option<(RelationSet, RelationSet, (f64, f64))> = None;
        for (index, first) in parts.iter().enumerate() {
            for second in &parts[index + 1..] {
                let outlook = *outlooks.entry((*first, *second)).or_insert_with(|| {
                    let is_edge = search.graph().is_edge(*first, *second);
                    is_edge.then(|| search.outlook(*first, *second)).flatten()
                });
                let Some(outlook) = outlook else {
                    continue;
                };
                if next.is_none_or(|(_, _, best)| outlook < best) {
                    next = Some((*first, *second, outlook));
                }
            }
        }
        let Some((first, second, _)) = next else {
            return;
        };
        search.consider(first, second);
        parts.retain(|part| *part != first && *part != second);
        parts.push(first | second);
    }
}
