//! `BEGIN … END` in the body of a routine, where semicolons end inner statements. `BEGIN` by itself
//! starts a transaction, and may be a column's name elsewhere.

/// What may follow the BEGIN of a transaction.
const TRANSACTION_WORDS: [&str; 10] = [
    "transaction",
    "work",
    "tran",
    "isolation",
    "read",
    "not",
    "deferrable",
    "deferred",
    "immediate",
    "exclusive",
];

/// What a statement begins with that may hold a block.
const HOLDERS: [&str; 5] = ["begin", "create", "alter", "declare", "replace"];

/// What END may end besides a BEGIN or CASE, of which the beginnings are not counted.
const COUNTED_ELSEWHERE: [&str; 6] = ["if", "loop", "while", "for", "repeat", "foreach"];

/// The blocks of one statement, word by word.
#[derive(Clone, Debug, Default)]
pub(super) struct Blocks {
    holds_blocks: Option<bool>,
    depth: usize,
    /// The word before, where what it means depends on the next.
    undecided: Option<Undecided>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Undecided {
    Begin,
    End,
}

impl Blocks {
    /// Whether a block is open, as far as can be told yet.
    pub(super) fn is_open(&self) -> bool {
        self.depth > 0
    }

    /// A word of the statement, outside of quotes and comments.
    pub(super) fn word(&mut self, word: &str) {
        let is = |other: &&str| word.eq_ignore_ascii_case(other);
        let first = self.holds_blocks.is_none();
        let holds_blocks = *self
            .holds_blocks
            .get_or_insert_with(|| HOLDERS.iter().any(is));
        if !holds_blocks {
            return;
        }
        match self.undecided.take() {
            Some(Undecided::Begin) if !TRANSACTION_WORDS.iter().any(is) => {
                self.depth += 1;
            }
            Some(Undecided::End) => {
                if COUNTED_ELSEWHERE.iter().any(is) {
                    return;
                }
                self.close();
                if is(&"case") {
                    return;
                }
            }
            _ => {}
        }
        if is(&"begin") {
            // Where a block is open already, what begins is another one.
            match first || self.depth == 0 {
                true => self.undecided = Some(Undecided::Begin),
                false => self.depth += 1,
            }
        } else if is(&"case") && self.depth > 0 {
            self.depth += 1;
        } else if is(&"end") && self.depth > 0 {
            self.undecided = Some(Undecided::End);
        }
    }

    /// Anything else, which decides about the word before it.
    pub(super) fn symbol(&mut self) {
        if self.undecided.take() == Some(Undecided::End) {
            self.close();
        }
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}
