//! Stage: run. Thread: native workers.
//! The rows of a table of comma-separated values, and what makes a table malformed.
//!
//! C1. What is accepted is what RFC 4180 describes, with any delimiter and any line end; nothing is repaired silently.
//! C2. The shape is checked while reading, so that a malformed row cannot make memory grow.

use super::{STRIDE, find_byte};
use crate::error::{ErrorCode, KernelError};
use crate::kernel::KernelContext;
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use memchr::memchr_iter;
use std::collections::TryReserveError;

/// Most columns.
pub(super) const MAX_COLUMNS: usize = 1 << 20;

/// Bytes that the state machine gets at once, between two cancel checks: up to a millisecond or two.
const WINDOW: usize = 64 * 1024;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// A malformed table, and the line (from 1) at which the place `offset` is.
fn malformed(text: &[u8], offset: usize, what: &str) -> KernelError {
    // A line ends with \n, \r\n or \r.
    let before = &text[..offset];
    let returns = memchr_iter(b'\r', before).filter(|&at| text.get(at + 1) != Some(&b'\n')).count();
    let line = 1 + memchr_iter(b'\n', before).count() + returns;
    KernelError::new(ErrorCode::InvalidCsv, format!("line {line}: {what}"))
}

/// Bytes must be UTF-8.
pub(super) fn check_utf8(text: &[u8], ctx: &KernelContext<'_>) -> Result<(), KernelError> {
    let mut place = 0;
    while place < text.len() {
        ctx.check()?;
        let end = text.len().min(place + STRIDE);
        match std::str::from_utf8(&text[place..end]) {
            Ok(_) => place = end,
            // The piece may end within a character.
            Err(error) if error.error_len().is_none() && end < text.len() => place += error.valid_up_to(),
            Err(error) => return Err(malformed(text, place + error.valid_up_to(), "not valid UTF-8")),
        }
    }
    Ok(())
}

/// C1. A quote is where a cell begins or ends, or doubled within a quoted cell; every quoted cell ends.
pub(super) fn check_quotes(text: &[u8], delimiter: u8, ctx: &KernelContext<'_>) -> Result<(), KernelError> {
    let first = if text.starts_with(BOM) { BOM.len() } else { 0 };
    let is_edge = |byte: u8| byte == delimiter || byte == b'\n' || byte == b'\r';
    let mut place = first;
    let mut next_check = 0;
    while let Some(open) = find_byte(b'"', text, place, ctx)? {
        if open > first && !is_edge(text[open - 1]) {
            return Err(malformed(text, open, "a quote inside a cell that does not begin with one"));
        }
        place = open + 1;
        loop {
            if place >= next_check {
                ctx.check()?;
                next_check = place + WINDOW;
            }
            let Some(quote) = find_byte(b'"', text, place, ctx)? else {
                return Err(malformed(text, open, "a quoted cell that begins here does not end"));
            };
            place = quote + 1;
            match text.get(place) {
                Some(b'"') => place += 1,
                None => return Ok(()),
                Some(&byte) if is_edge(byte) => break,
                Some(_) => return Err(malformed(text, place, "text after the end of a quoted cell")),
            }
        }
    }
    Ok(())
}

/// Gives the rows one by one.
pub(super) struct Rows<'a> {
    text: &'a [u8],
    ctx: &'a KernelContext<'a>,
    reader: Reader,
    place: usize,
    /// Where to look for a cancel next.
    next_check: usize,
    /// Where the last row began.
    start: usize,
    /// The cells of the last row, unquoted, one after the other.
    cells: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    /// How many cells a row has; `None` before the first.
    width: Option<usize>,
}

/// Doubles the room.
fn enlarge<T: Clone + Default>(room: &mut Vec<T>) -> Result<(), KernelError> {
    let more = room.len();
    room.try_reserve_exact(more).map_err(no_memory)?;
    room.resize(2 * more, T::default());
    Ok(())
}

/// What to reject with when the system has no memory for the cells.
pub(super) fn no_memory(_: TryReserveError) -> KernelError {
    KernelError::new(ErrorCode::System, "no memory for the table")
}

impl<'a> Rows<'a> {
    pub(super) fn new(text: &'a [u8], delimiter: u8, ctx: &'a KernelContext<'a>) -> Self {
        let reader = ReaderBuilder::new().delimiter(delimiter).build();
        Self {
            text,
            ctx,
            reader,
            place: 0,
            next_check: 0,
            start: 0,
            cells: vec![0; 1024],
            ends: vec![0; 32],
            width: None,
        }
    }

    /// Reads the next row; `false` at the end. Empty lines are skipped.
    pub(super) fn advance(&mut self) -> Result<bool, KernelError> {
        self.start = self.place;
        if self.place >= self.next_check {
            self.pause()?;
        }
        let (mut filled, mut count) = (0, 0);
        loop {
            let window = &self.text[self.place..self.text.len().min(self.place + WINDOW)];
            let (result, read, written, ended) =
                self.reader.read_record(window, &mut self.cells[filled..], &mut self.ends[count..]);
            self.place += read;
            filled += written;
            count += ended;
            match result {
                ReadRecordResult::InputEmpty => self.pause()?,
                // No longer than the text itself, so doubled at most once too often.
                ReadRecordResult::OutputFull => enlarge(&mut self.cells)?,
                ReadRecordResult::OutputEndsFull => self.widen(count)?,
                ReadRecordResult::Record => break,
                ReadRecordResult::End => {
                    self.pause()?;
                    return Ok(false);
                }
            }
        }
        match self.width {
            Some(width) if count != width => return Err(self.ragged(width, &count.to_string())),
            Some(_) => {}
            None => {
                self.width = Some(count);
                // C2. One more, to see a row that is too long.
                self.ends.resize(count + 1, 0);
            }
        }
        Ok(true)
    }

    /// Looks for a cancel and reports progress.
    fn pause(&mut self) -> Result<(), KernelError> {
        self.next_check = self.place + WINDOW;
        self.ctx.progress(self.place, self.text.len());
        self.ctx.check()
    }

    fn widen(&mut self, count: usize) -> Result<(), KernelError> {
        match self.width {
            Some(width) => Err(self.ragged(width, &format!("more than {}", width + 1))),
            None if count >= MAX_COLUMNS => {
                Err(self.malformed(&format!("more than {MAX_COLUMNS} columns are not supported")))
            }
            None => {
                enlarge(&mut self.ends)?;
                Ok(())
            }
        }
    }

    fn ragged(&self, width: usize, count: &str) -> KernelError {
        self.malformed(&format!("a row of {count} cells, where the first has {width}"))
    }

    /// The row that is being read is malformed.
    fn malformed(&self, what: &str) -> KernelError {
        let skipped = self.text[self.start..].iter().take_while(|byte| b"\r\n".contains(byte)).count();
        malformed(self.text, self.start + skipped, what)
    }

    /// The cells of the row that was read.
    pub(super) fn cells(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends[..self.width.unwrap_or(0)].iter().map(move |&end| {
            let cell = &self.cells[start..end];
            start = end;
            cell
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::TestHost;

    #[test]
    fn utf8_is_checked_across_pieces() {
        // Characters of three bytes do not fit evenly into a piece.
        let text = "€".repeat(STRIDE);
        let ctx_host = TestHost::new();
        let ctx = KernelContext::new(&ctx_host);
        assert!(check_utf8(text.as_bytes(), &ctx).is_ok());
        let mut broken = text.into_bytes();
        broken[STRIDE + 1] = b'x';
        assert!(check_utf8(&broken, &ctx).is_err());
    }

    #[test]
    fn c2_a_row_that_is_too_long_is_given_up_early() {
        let text = format!("a,b\n{}", ",".repeat(10_000_000));
        let host = TestHost::new();
        let ctx = KernelContext::new(&host);
        let mut rows = Rows::new(text.as_bytes(), b',', &ctx);
        assert!(rows.advance().unwrap());
        assert!(rows.advance().is_err());
        assert!(rows.place < 100 && rows.ends.len() < 100);
    }

    #[test]
    fn c1_what_the_quote_check_accepts_the_csv_crate_reads_alike() {
        // All short texts over the bytes that matter: either both agree or it is refused.
        let alphabet = b"a,\"\n\r";
        let host = TestHost::new();
        let ctx = KernelContext::new(&host);
        let mut accepted = 0;
        for code in 0..5usize.pow(7) {
            let text: Vec<u8> = (0..7).map(|at| alphabet[code / 5usize.pow(at) % 5]).collect();
            if check_quotes(&text, b',', &ctx).is_err() {
                continue;
            }
            accepted += 1;
            // A strict reader, spelt out: quotes only at the edges of cells, as was checked.
            let mut rows: Vec<Vec<Vec<u8>>> = vec![];
            let (mut row, mut cell, mut quoted, mut any) = (vec![], vec![], false, false);
            let mut bytes = text.iter().copied().peekable();
            while let Some(byte) = bytes.next() {
                match byte {
                    b'"' if quoted && bytes.next_if_eq(&b'"').is_some() => cell.push(b'"'),
                    b'"' => (quoted, any) = (!quoted, true),
                    _ if quoted => cell.push(byte),
                    b',' => {
                        row.push(std::mem::take(&mut cell));
                        any = true;
                    }
                    b'\n' | b'\r' => {
                        if any {
                            row.push(std::mem::take(&mut cell));
                            rows.push(std::mem::take(&mut row));
                        }
                        any = false;
                    }
                    _ => {
                        cell.push(byte);
                        any = true;
                    }
                }
            }
            if any {
                row.push(cell);
                rows.push(row);
            }
            let mut ours = Rows::new(&text, b',', &ctx);
            let mut read = Vec::new();
            let mut ragged = false;
            loop {
                match ours.advance() {
                    Ok(true) => read.push(ours.cells().map(<[u8]>::to_vec).collect::<Vec<_>>()),
                    Ok(false) => break,
                    Err(_) => {
                        ragged = true;
                        break;
                    }
                }
            }
            assert_eq!(read, rows[..read.len()], "{:?}", String::from_utf8_lossy(&text));
            assert_eq!(ragged, rows.iter().any(|row| row.len() != rows[0].len()));
            assert!(ragged || read.len() == rows.len());
        }
        assert!(accepted > 5_000);
    }
}
