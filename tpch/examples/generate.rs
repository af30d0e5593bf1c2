//! Generates a data set without the `skep` binary: `generate SCALE OUTPUT [PARTS]`.

use std::io::IsTerminal;

use anyhow::Context;
use skep_tpch::generate::console_progress;
use skep_tpch::{DataLocation, GenerateOptions, generate};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: generate SCALE OUTPUT [PARTS]";
    let scale = arguments.next().context(usage)?.parse().context(usage)?;
    let output = DataLocation::parse(&arguments.next().context(usage)?, &[])?;
    let parts = arguments
        .next()
        .map(|parts| parts.parse())
        .transpose()
        .context(usage)?;
    let progress = Some(console_progress(
        "generate",
        std::io::stderr().is_terminal(),
    ));
    let options = GenerateOptions {
        parts,
        progress,
        ..GenerateOptions::new(scale, output)
    };
    let report = generate(&options).await?;
    println!("{:#?}", report.manifest);
    Ok(())
}
