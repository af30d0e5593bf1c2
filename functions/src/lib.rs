//! The functions that SQL names: Skep's own, and those of other projects that mean what their manuals say.
