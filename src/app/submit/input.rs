//! The file, to be read more than once.

use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::Path;

/// A file, or a copy of what cannot be read twice.
pub(super) struct Input {
    file: File,
    len: u64,
}

impl Input {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = if path == Path::new("-") {
            spool(&mut io::stdin().lock())?
        } else {
            let file = File::open(path)?;
            // A pipe gives its bytes once, and two looks are needed.
            if file.metadata()?.is_file() { file } else { spool(&mut { file })? }
        };
        let len = file.seek(io::SeekFrom::End(0))?;
        Ok(Self { file, len })
    }

    /// In bytes.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// The file from its beginning.
    pub(super) fn rewound(&mut self) -> io::Result<File> {
        self.file.rewind()?;
        self.file.try_clone()
    }

    pub(super) fn sha256(&mut self) -> io::Result<[u8; 32]> {
        let mut hash = Sha256::new();
        let mut file = self.rewound()?;
        let mut bytes = vec![0; 1 << 16];
        loop {
            match file.read(&mut bytes)? {
                0 => return Ok(hash.finalize().into()),
                read => hash.update(&bytes[..read]),
            }
        }
    }

    /// The first byte that is no blank and no byte order mark, if it stands near the beginning.
    pub(super) fn first_byte(&mut self) -> io::Result<Option<u8>> {
        let mut start = Vec::new();
        self.rewound()?.take(4096).read_to_end(&mut start)?;
        let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
        Ok(text.iter().copied().find(|byte| !byte.is_ascii_whitespace()))
    }
}

fn spool(input: &mut impl io::Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(input, &mut file)?;
    Ok(file)
}
