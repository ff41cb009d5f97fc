//! Results on stdout, complaints on stderr.

use std::io::{ErrorKind, Write as _};

use fleetwright_verbs::manifest::Finding;
use fleetwright_verbs::table::align;

use crate::exit::Exit;

/// One line of the result. A reader that went away (`fleetwright up | head`) ends the program quietly, but not
/// as a success: what the reader missed may have been a failure.
pub(crate) fn line(text: &str) {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            std::process::exit(Exit::ReaderGone.code().into())
        }
        Err(error) => tracing::error!(%error, "cannot write to stdout"),
    }
}

/// Several lines of the result.
pub(crate) fn lines(texts: impl IntoIterator<Item = impl AsRef<str>>) {
    texts.into_iter().for_each(|text| line(text.as_ref()));
}

/// One line for a person, beside the result. Where even stderr is gone there is nobody to tell.
pub(crate) fn complain(text: &str) {
    if let Err(error) = writeln!(std::io::stderr().lock(), "{text}") {
        tracing::error!(%error, "cannot write to stderr");
    }
}

/// What is wrong with the user's files.
pub(crate) fn findings(findings: &[Finding]) {
    let row = |finding: &Finding| {
        let at = if finding.line == 0 {
            finding.file.clone()
        } else {
            format!("{}:{}", finding.file, finding.line)
        };
        vec![at, finding.field.clone(), finding.message.clone()]
    };
    let rows: Vec<Vec<String>> = findings.iter().map(row).collect();
    align(&rows).iter().for_each(|line| complain(line));
}
