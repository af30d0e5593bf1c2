//! Rings of modules: files of one crate that name each other in a circle, so that none can be read, or moved,
//! without the others. A parent and its child may know each other.

use super::source::Source;
use std::collections::{BTreeMap, BTreeSet};

/// Where mutual recursion over one tree is cut into files: each folder is one algorithm.
const RECURSIVE: [&str; 3] = [
    // The search hands regions to one enumeration or the other, which build its plans.
    "planner/src/join_order/",
    // A subquery's plan is rewritten operator by operator, and operators hold expressions with subqueries.
    "planner/src/analyzer/subqueries/",
    // Names in a SELECT are resolved in its expressions, and these hold SELECTs.
    "planner/src/resolution/names/",
];

/// Rings that are known and wait to be broken.
const KNOWN: [&str; 3] = [
    "src/run/cluster.rs <-> src/run/server.rs",
    "listener/src/node_tls.rs <-> listener/src/tls.rs",
    "planner/src/context.rs <-> planner/src/join_order.rs <-> planner/src/physical/rules.rs <-> planner/src/template.rs",
];

/// A module by its path in its crate; the root's is empty.
type Module = Vec<String>;

/// Every ring of modules, each as the sorted paths of its files.
pub fn rings(sources: &[Source]) -> Vec<String> {
    let mut crates: BTreeMap<&str, BTreeMap<Module, &Source>> = BTreeMap::new();
    for source in sources.iter().filter(|source| !source.code.is_empty()) {
        if let Some((name, module)) = place(&source.path) {
            crates.entry(name).or_default().insert(module, source);
        }
    }
    let mut findings = Vec::new();
    for modules in crates.values() {
        for ring in components(&edges(modules)) {
            let mut paths: Vec<_> = ring
                .iter()
                .map(|module| modules[module].path.as_str())
                .collect();
            paths.sort_unstable();
            let is_one_algorithm =
                |folder: &&str| paths.iter().all(|path| path.starts_with(folder));
            let is_known = KNOWN.contains(&paths.join(" <-> ").as_str());
            if !is_known && !RECURSIVE.iter().any(is_one_algorithm) {
                findings.push(paths.join(" <-> "));
            }
        }
    }
    findings
}

/// The crate and the module of a file of a library or of the binary.
fn place(path: &str) -> Option<(&str, Module)> {
    let (name, file) = match path.strip_prefix("src/") {
        Some(file) => ("", file),
        None => path.split_once("/src/")?,
    };
    let stem = file.strip_suffix(".rs")?;
    let module = match stem {
        "lib" | "main" => Vec::new(),
        _ => stem.split('/').map(str::to_owned).collect(),
    };
    Some((name, module))
}

/// Which modules each module names, its parents and children left out.
fn edges(modules: &BTreeMap<Module, &Source>) -> BTreeMap<Module, BTreeSet<Module>> {
    let is_family = |a: &Module, b: &Module| a.starts_with(b) || b.starts_with(a);
    modules
        .iter()
        .map(|(module, source)| {
            let named = paths(&source.code)
                .into_iter()
                .filter_map(|path| resolve(module, &path, modules))
                .filter(|named| !is_family(named, module));
            (module.clone(), named.collect())
        })
        .collect()
}

/// The module in which a path ends that begins in `module`.
fn resolve(
    module: &Module,
    path: &[String],
    modules: &BTreeMap<Module, &Source>,
) -> Option<Module> {
    let mut base: Module = Vec::new();
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" => rest = &rest[1..],
        _ => {
            base.clone_from(module);
            while let Some("self" | "super") = rest.first().map(String::as_str) {
                if rest[0] == "super" {
                    base.pop();
                }
                rest = &rest[1..];
            }
        }
    }
    base.extend(rest.iter().cloned());
    (0..=base.len())
        .rev()
        .map(|length| base[..length].to_vec())
        .find(|module| modules.contains_key(module))
}

/// Every path in `code` that begins with `crate`, `super` or `self`, those in the braces of a `use` among them.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if !before.is_some_and(|c| is_word(c) || c == ':') {
                tree(&code[at..], &mut Vec::new(), &mut found);
            }
        }
    }
    found
}

/// Reads one path, or a tree of them, from the beginning of `text`; returns how many bytes it has.
fn tree(text: &str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let depth = prefix.len();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let blanks = rest.len() - rest.trim_start().len();
        let rest = rest.trim_start();
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let word = &rest[..word.unwrap_or(rest.len())];
        at += blanks + word.len();
        if !word.is_empty() {
            prefix.push(word.to_owned());
            match text[at..].strip_prefix("::") {
                Some(_) => at += 2,
                None => {
                    found.push(prefix.clone());
                    break;
                }
            }
            continue;
        }
        if let Some(inner) = text[at..].strip_prefix('{') {
            at += 1 + branches(inner, prefix, found);
        }
        break;
    }
    prefix.truncate(depth);
    at
}

/// Reads what stands in the braces of a `use`, the closing one included.
fn branches(text: &str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let mut at = 0;
    while at < text.len() {
        match text[at..].chars().next() {
            Some('}') | None => return at + 1,
            Some(c) if c.is_alphanumeric() || c == '_' || c == '{' => {
                at += tree(&text[at..], prefix, found).max(1);
            }
            Some(c) => at += c.len_utf8(),
        }
    }
    at
}

/// The strongly connected components of more than one module.
fn components(edges: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<BTreeSet<Module>> {
    let reach: BTreeMap<&Module, BTreeSet<&Module>> = edges
        .keys()
        .map(|from| (from, reachable(from, edges)))
        .collect();
    let mut rings: Vec<BTreeSet<Module>> = Vec::new();
    for from in edges.keys() {
        let ring: BTreeSet<Module> = reach[from]
            .iter()
            .filter(|to| reach[**to].contains(from))
            .map(|to| (*to).clone())
            .collect();
        if ring.len() > 1 && !rings.contains(&ring) {
            rings.push(ring);
        }
    }
    rings
}

/// Every module that can be reached from `from` in one step or more.
fn reachable<'a>(
    from: &Module,
    edges: &'a BTreeMap<Module, BTreeSet<Module>>,
) -> BTreeSet<&'a Module> {
    let mut seen = BTreeSet::new();
    let mut waiting: Vec<&Module> = edges[from].iter().collect();
    while let Some(module) = waiting.pop() {
        if let Some((module, next)) = edges.get_key_value(module)
            && seen.insert(module)
        {
            waiting.extend(next);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        rings(&Source::parse_all(files.collect()))
    }

    #[test]
    fn a_ring_is_found_through_braces_and_paths() {
        let files = [
            ("a/src/lib.rs", "mod b; mod c; mod d;"),
            (
                "a/src/b.rs",
                "use crate::{\n    c::{self, X},\n    e,\n};\n",
            ),
            ("a/src/c.rs", "fn x() { super::d::y() }\n"),
            ("a/src/d.rs", "use super::b::Z;\n"),
        ];
        assert_eq!(found(&files), ["a/src/b.rs <-> a/src/c.rs <-> a/src/d.rs"]);
    }

    #[test]
    fn families_tests_and_comments_make_no_ring() {
        let files = [
            ("a/src/lib.rs", "mod b; use b::X;\n"),
            ("a/src/b.rs", "mod c; use c::Y; use crate::d::Z;\n"),
            ("a/src/b/c.rs", "use super::X; use crate::W;\n"),
            (
                "a/src/d.rs",
                "// use crate::b;\n#[cfg(test)]\nmod tests { use crate::b::X; }\n",
            ),
        ];
        assert_eq!(found(&files), Vec::<String>::new());
    }
}
