//! The terminal's size and abilities.

/// What is assumed of a terminal that does not tell.
const ROWS: usize = 24;
const COLUMNS: usize = 80;

/// The terminal that the shell runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    fixed: Option<(usize, usize)>,
    is_dumb: bool,
}

impl Terminal {
    /// That of this process, whatever its size at each time. A dumb one knows no escape sequences.
    pub(crate) fn of_process(is_dumb: bool) -> Self {
        Self {
            fixed: None,
            is_dumb,
        }
    }

    /// One of a fixed size, in rows and columns, for tests.
    #[cfg(test)]
    pub(crate) fn fixed(rows: usize, columns: usize) -> Self {
        Self {
            fixed: Some((rows, columns)),
            is_dumb: false,
        }
    }

    fn size(self) -> (usize, usize) {
        let asked = || {
            let term = console::Term::stdout();
            let size = term.size_checked();
            let size = size.or_else(|| console::Term::stderr().size_checked());
            size.filter(|(rows, columns)| *rows > 0 && *columns > 0)
                .map(|(rows, columns)| (usize::from(rows), usize::from(columns)))
        };
        self.fixed.or_else(asked).unwrap_or((ROWS, COLUMNS))
    }

    /// How many columns it has.
    pub(crate) fn columns(self) -> usize {
        self.size().1
    }

    /// How many rows it has.
    pub(crate) fn rows(self) -> usize {
        self.size().0
    }

    /// Whether it knows no escape sequences.
    pub(crate) fn is_dumb(self) -> bool {
        self.is_dumb
    }
}
