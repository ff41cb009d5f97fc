//! gzip (RFC 1952) over a stream of pieces.

use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::{DataFormat, MZFlush, MZStatus};

/// Fast rather than small: upstream compresses at the lowest level too.
const LEVEL: i32 = 1;
/// Magic number, deflate, no flags, no time, fastest, unknown system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
const ROOM_BYTES: usize = 32 * 1024;

struct Gzip {
    pieces: BoxStream<'static, Bytes>,
    state: Box<CompressorOxide>,
    crc: u32,
    length: u32,
    stage: Stage,
}

#[derive(PartialEq, Eq)]
enum Stage {
    Head,
    Pieces,
    Done,
}

/// The compressed form of `pieces`.
pub(super) fn gzip(pieces: BoxStream<'static, Bytes>) -> impl Stream<Item = Bytes> + Send {
    let raw = DataFormat::Raw.to_window_bits();
    let flags = create_comp_flags_from_zip_params(LEVEL, raw, 0);
    let state = Box::new(CompressorOxide::new(flags));
    let gzip = Gzip { pieces, state, crc: !0, length: 0, stage: Stage::Head };
    stream::unfold(gzip, Gzip::next)
}

impl Gzip {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        let mut out = Vec::new();
        if self.stage == Stage::Head {
            out.extend_from_slice(&HEAD);
            self.stage = Stage::Pieces;
        }
        while out.len() < ROOM_BYTES && self.stage == Stage::Pieces {
            match self.pieces.next().await {
                Some(piece) => {
                    self.crc = crc32(self.crc, &piece);
                    // Modulo 2^32, as the format wants it.
                    self.length = self.length.wrapping_add(u32::try_from(piece.len()).unwrap_or(0));
                    self.write(&mut out, &piece, MZFlush::None);
                }
                None => {
                    self.write(&mut out, &[], MZFlush::Finish);
                    out.extend_from_slice(&(!self.crc).to_le_bytes());
                    out.extend_from_slice(&self.length.to_le_bytes());
                    self.stage = Stage::Done;
                }
            }
        }
        (!out.is_empty()).then(|| (out.into(), self))
    }

    fn write(&mut self, out: &mut Vec<u8>, mut input: &[u8], flush: MZFlush) {
        let mut room = vec![0; ROOM_BYTES];
        loop {
            let step = deflate(&mut self.state, input, &mut room, flush);
            out.extend_from_slice(&room[..step.bytes_written]);
            input = &input[step.bytes_consumed..];
            let ended = matches!(step.status, Ok(MZStatus::StreamEnd) | Err(_));
            let full = step.bytes_written == room.len();
            if ended || (input.is_empty() && !full && flush == MZFlush::None) {
                return;
            }
        }
    }
}

/// CRC-32 of ISO 3309, without its final complement.
fn crc32(mut crc: u32, bytes: &[u8]) -> u32 {
    for byte in bytes {
        let index = usize::from((crc ^ u32::from(*byte)).to_le_bytes()[0]);
        crc = CRC_TABLE[index] ^ (crc >> 8);
    }
    crc
}

static CRC_TABLE: [u32; 256] = crc_table();

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0_usize;
    let mut start = 0_u32;
    while index < 256 {
        let mut value = start;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
        start += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_compressed_inflates_to_what_it_was_and_is_sealed_by_its_sum() {
        let pieces: Vec<Bytes> =
            (0..40).map(|n| Bytes::from(format!("{n:05} some text. ").repeat(400))).collect();
        let whole = pieces.concat();
        let packed: Vec<u8> =
            gzip(stream::iter(pieces).boxed()).collect::<Vec<Bytes>>().await.concat();
        assert_eq!(packed[..10], HEAD);
        let (body, seal) = packed[10..].split_at(packed.len() - 18);
        let plain = miniz_oxide::inflate::decompress_to_vec(body).expect("deflate");
        assert!(plain == whole && body.len() < whole.len() / 5);
        assert_eq!(seal[4..], u32::try_from(whole.len()).expect("small").to_le_bytes());
        assert_eq!(seal[..4], (!crc32(!0, &whole)).to_le_bytes());
    }

    #[test]
    fn the_sum_is_the_one_everybody_computes() {
        // The check value of the CRC catalogue.
        assert_eq!(!crc32(!0, b"123456789"), 0xcbf4_3926);
    }
}
