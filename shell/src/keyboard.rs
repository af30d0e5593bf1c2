//! What the terminal does with keys while no line is edited: while a statement runs, they wait unseen for
//! the next prompt instead of being written into the result, and Ctrl-C is still a signal.
//!
//! The editor changes the terminal to a mode of its own for every line and puts it back afterwards. In
//! the mode in which most terminals are found, a key that is pressed in between is echoed, held back
//! until Enter, or, as Ctrl-D, lost.
//!
//! Decision: While a statement runs in a shell, the terminal holds keys back unseen: in its usual mode, what is
//! pressed before the editor reads is echoed into the result or lost.

use nix::sys::termios::{self, InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios};

/// The terminal's treatment of keys; it is put back when this is dropped.
pub(crate) struct Keyboard {
    /// As the terminal was found; none where there is no terminal to change.
    as_found: Option<Termios>,
    is_held: bool,
}

impl Keyboard {
    /// That of the terminal at standard input.
    pub(crate) fn of_process() -> Self {
        Self {
            as_found: termios::tcgetattr(std::io::stdin()).ok(),
            is_held: false,
        }
    }

    /// One that is left as it is.
    pub(crate) fn untouched() -> Self {
        Self {
            as_found: None,
            is_held: false,
        }
    }

    /// Holds keys back, unseen.
    pub(crate) fn hold(&mut self) {
        let Some(as_found) = &self.as_found else {
            return;
        };
        let mut held = as_found.clone();
        held.input_flags
            .remove(InputFlags::ICRNL | InputFlags::INLCR | InputFlags::IGNCR);
        held.local_flags
            .remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::IEXTEN);
        held.local_flags.insert(LocalFlags::ISIG);
        held.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        held.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        self.is_held = termios::tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &held).is_ok();
    }

    /// Puts the terminal back, for another program or for good.
    pub(crate) fn release(&mut self) {
        if let Some(as_found) = self.as_found.as_ref().filter(|_| self.is_held) {
            // A terminal that has gone needs nothing.
            let _ = termios::tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, as_found);
        }
        self.is_held = false;
    }

    /// Whether keys are held back.
    pub(crate) fn is_held(&self) -> bool {
        self.is_held
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.release();
    }
}
