//! Pieces of data that resemble each other: matches in one may refer to all that come before it.
//!
//! Each piece is a frame of [`super`] without its header, or one of [`lzma`]. Whoever packs it gives the compressor what comes
//! before as a prefix.

use super::super::lzma;
use super::block::Decoder;
use super::input::Input;
use super::window::Window;
use super::{Corrupt, Source};

/// What comes before the next piece.
pub struct Alike {
    input: Input,
    decoder: Decoder,
    window: Window,
}

/// What is left of a piece's bytes.
struct Rest<'a>(&'a [u8]);

impl Source for Rest<'_> {
    type Error = Corrupt;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Corrupt> {
        let (head, tail) = self.0.split_at(self.0.len().min(buffer.len()));
        buffer[..head.len()].copy_from_slice(head);
        self.0 = tail;
        Ok(head.len())
    }
}

impl Alike {
    /// With room for so many bytes in all.
    #[must_use]
    pub fn new(room: usize) -> Self {
        let mut window = Window::new();
        window.begin(room);
        Self { input: Input::new(), decoder: Decoder::new(), window }
    }

    /// Where the pieces will be, for whoever has memory put there at once.
    pub fn room(&mut self) -> &mut [u8] {
        self.window.room()
    }

    /// Adds a piece that `write` writes to the room that is left; it says how long it is, or that it can't be there.
    pub fn add(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<()> {
        self.window.add(write)
    }

    /// Where the pieces end that are there.
    #[must_use]
    pub fn end(&self) -> usize {
        self.window.end()
    }

    /// Takes away the pieces behind this.
    pub fn cut(&mut self, end: usize) {
        self.window.commit(end);
    }

    /// Adds a piece that is packed, and shows it; `None` if it is damaged, or there is no room.
    pub fn unpack(&mut self, packed: &[u8]) -> Option<&[u8]> {
        let start = self.window.end();
        self.blocks(packed).ok()?;
        self.window.since(start)
    }

    /// The same of a piece that is packed by [`lzma`].
    pub fn unpack_slowly(&mut self, packed: &[u8], place_bits: u32) -> Option<&[u8]> {
        let start = self.window.end();
        self.window.add_to_all(|all, end| lzma::unpack(packed, all, end, place_bits))?;
        self.window.since(start)
    }

    fn blocks(&mut self, packed: &[u8]) -> Result<(), Corrupt> {
        let mut rest = Rest(packed);
        self.decoder.reset();
        loop {
            // A block and its header; a block is no longer than what it decodes to.
            self.input.ensure(&mut rest, 3 + self.window.block())?;
            let head = self.input.number(3)? as usize;
            self.decoder.block(head, &mut self.input, &mut self.window)?;
            if head & 1 != 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use zstd::zstd_safe::{CCtx, CParameter};

    use super::super::super::samples::Random;
    use super::super::BLOCK;
    use super::*;

    /// A frame by libzstd whose matches may reach into what is before, without its header.
    fn packed(piece: &[u8], before: &[u8]) -> Vec<u8> {
        let mut context = CCtx::create();
        let parameters =
            [CParameter::CompressionLevel(19), CParameter::ContentSizeFlag(false), CParameter::WindowLog(22)];
        for parameter in parameters {
            context.set_parameter(parameter).unwrap();
        }
        context.ref_prefix(before).unwrap();
        let mut packed = vec![0; piece.len() + 1000];
        let length = context.compress2(&mut packed[..], piece).unwrap();
        packed[6..length].to_vec()
    }

    fn add(alike: &mut Alike, piece: &[u8]) -> Option<()> {
        alike.add(|room| {
            room.get_mut(..piece.len())?.copy_from_slice(piece);
            Some(piece.len())
        })
    }

    #[test]
    fn pieces_that_libzstd_packs_come_back() {
        let (first, other) = (Random(1).data(300_000), Random(2).data(5000));
        let second = [&first[100_000..], &other, &first[..50_000]].concat();
        let third = [&second[1000..60_000], b"and more", &first[7..7000]].concat();
        let mut alike = Alike::new(first.len() + second.len() + third.len());
        assert_eq!(add(&mut alike, &first), Some(()));
        let bytes = packed(&second, &first);
        assert!(
            bytes.len() < other.len() + 1000 && second.len() > BLOCK,
            "matches reach into the first: {}",
            bytes.len()
        );
        assert!(alike.unpack(&bytes) == Some(&second));
        let before = [&first[..], &second].concat();
        assert!(alike.unpack(&packed(&third, &before)) == Some(&third));
        // There is no room for more, and nothing is unpacked again.
        assert_eq!(alike.room().len(), before.len() + third.len());
        assert_eq!(add(&mut alike, b"x"), None);
        // Others may come behind the first.
        alike.cut(first.len());
        assert_eq!(alike.end(), first.len());
        assert!(alike.unpack(&packed(&third, &first)) == Some(&third));
    }

    #[test]
    fn damaged_pieces_do_no_harm() {
        let before = Random(3).data(20_000);
        let piece = [&before[5000..9000], b"something else", &Random(4).data(1000), &[7; 500]].concat();
        let bytes = packed(&piece, &before);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            for bytes in [&damaged[..], &bytes[..at]] {
                let mut alike = Alike::new(before.len() + piece.len());
                add(&mut alike, &before).unwrap();
                // A wrong byte among the literals is nobody's to find, but what is cut short never passes.
                assert!(alike.unpack(bytes).is_none_or(|piece| bytes.len() > at && piece.len() < 200_000));
            }
        }
        assert_eq!(Alike::new(100).unpack(&[]), None);
    }
}
