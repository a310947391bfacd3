//! A body that comes piece by piece, read by who waits for it: what is not read is not taken from the caller.

use bytes::{Buf as _, Bytes};
use std::io::{BufRead, Error, ErrorKind, Read, Result};
use tokio::sync::mpsc;

/// A piece of a body.
#[derive(Debug)]
pub(super) enum Piece {
    /// Bytes of it.
    Bytes(Bytes),
    /// It is whole. Without this it was cut, and its last line may be half of one.
    End,
}

/// The lines of a body, for a thread that may wait.
#[derive(Debug)]
pub struct Lines {
    pieces: mpsc::Receiver<Piece>,
    piece: Bytes,
    ended: bool,
}

impl Lines {
    pub(super) fn new(pieces: mpsc::Receiver<Piece>) -> Self {
        Self { pieces, piece: Bytes::new(), ended: false }
    }
}

impl BufRead for Lines {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        while self.piece.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => self.piece = bytes,
                Some(Piece::End) => self.ended = true,
                None => return Err(Error::new(ErrorKind::UnexpectedEof, "the body was cut")),
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, amount: usize) {
        self.piece.advance(amount.min(self.piece.len()));
    }
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: Vec<Piece>) -> (Vec<String>, Option<ErrorKind>) {
        let (sender, receiver) = mpsc::channel(8);
        for piece in pieces {
            sender.try_send(piece).unwrap();
        }
        drop(sender);
        let mut read = Vec::new();
        for line in Lines::new(receiver).lines() {
            match line {
                Ok(line) => read.push(line),
                Err(error) => return (read, Some(error.kind())),
            }
        }
        (read, None)
    }

    #[test]
    fn a_line_may_come_in_pieces_and_half_of_one_is_none() {
        let piece = |text: &'static str| Piece::Bytes(Bytes::from_static(text.as_bytes()));
        let pieces = || vec![piece("on"), piece("e\ntwo\nth"), piece(""), piece("ree")];
        let whole = pieces().into_iter().chain([Piece::End]).collect();
        assert_eq!(lines(whole), (vec!["one".into(), "two".into(), "three".into()], None));
        let cut = Some(ErrorKind::UnexpectedEof);
        assert_eq!(lines(pieces()), (vec!["one".into(), "two".into()], cut));
    }
}
