//! Small files of a data folder, written whole or not at all.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Puts a file in place of whatever is at `path`: whole or not at all, also over a crash, and with exactly this mode.
///
/// # Errors
/// The first step that failed; the old file is then untouched, unless it was the last step: that
/// the new file outlives a power cut.
pub fn replace_file(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    // A leftover of a crash would keep its old mode.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    // The new name itself must last: what depends on the file may be stored right after.
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}
