//! Hive's delimited text, as the options of a table describe it.

use skep_catalog::model::{FileFormat, StorageOptions, TextLayout};
use skep_hive_text::TextFormat;

/// Hive's delimited text as a table's options describe it; their characters have been checked.
pub fn text_format(storage: &StorageOptions) -> TextFormat {
    let layout = TextLayout::new(FileFormat::Text, storage);
    let byte = |letter: char| u8::try_from(letter).unwrap_or(b'?');
    let chosen = [
        storage.field_delimiter,
        storage.collection_delimiter,
        storage.map_key_delimiter,
    ];
    let escape = layout.escape.map(byte);
    let mut taken: Vec<u8> = chosen
        .iter()
        .flatten()
        .copied()
        .map(byte)
        .chain(escape)
        .collect();
    let defaults = TextFormat::default();
    let mut delimiters = defaults.delimiters;
    for (level, delimiter) in delimiters.iter_mut().enumerate() {
        if let Some(letter) = chosen.get(level).copied().flatten() {
            *delimiter = byte(letter);
            continue;
        }
        // Hive would take the same delimiter for two levels.
        if taken.contains(delimiter) {
            let mut others = (11..32).filter(|byte| !matches!(byte, b'\r' | 27));
            *delimiter = others
                .find(|byte| !taken.contains(byte))
                .unwrap_or(*delimiter);
        }
        taken.push(*delimiter);
    }
    TextFormat {
        delimiters,
        escape,
        null_text: layout.null_text.unwrap_or(defaults.null_text),
        header_lines: layout.header_lines,
    }
}
