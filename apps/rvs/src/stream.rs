//! Output that is written while it is made, so that a table of any size is printed in little memory.

use rvs_dataplane::Error;
use std::io::{self, BufWriter, Write};

/// Bytes that are gathered before they are written.
const BUFFER: usize = 1 << 16;

/// Lets `print` write to `out`, gathered into large pieces. A reader that has seen enough ends it without an error.
///
/// # Errors
/// Those of `print`, and an output that cannot be written.
pub(crate) fn stream(
    out: &mut dyn Write,
    print: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut buffer = BufWriter::with_capacity(BUFFER, out);
    let printed = print(&mut buffer).and_then(|()| buffer.flush().map_err(unwritten));
    match printed {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => {
            // What is left in the buffer has no reader either.
            let _ = buffer.into_parts();
            Ok(())
        }
        done => done,
    }
}

/// The error of an output that cannot be written.
pub(crate) fn unwritten(source: io::Error) -> Error {
    Error::Io { context: "cannot write the output".to_owned(), source }
}
