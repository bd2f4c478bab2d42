//! A slide and its tiles fit into the memory of all decoding, however little that is, or the slide is refused.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use medivision_media::budget::{self, WaitPolicy};
use medivision_media::{ErrorKind, ImageSource};

/// Rows and columns of a tile, of which there are two by two.
const SIDE: u16 = 256;

/// A slide of four tiles in RGB, in Explicit VR Little Endian.
fn slide() -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    let mut element = |group: u16, element: u16, vr: &[u8; 2], value: &[u8]| {
        bytes.extend(group.to_le_bytes());
        bytes.extend(element.to_le_bytes());
        bytes.extend(vr);
        if vr == b"OB" {
            bytes.extend([0, 0]);
            bytes.extend((value.len() as u32).to_le_bytes());
        } else {
            bytes.extend((value.len() as u16).to_le_bytes());
        }
        bytes.extend(value);
    };
    let (tile, whole) = (SIDE.to_le_bytes(), (2 * u32::from(SIDE)).to_le_bytes());
    let pixels = usize::from(SIDE) * usize::from(SIDE);
    let colors = [[200, 30, 30], [30, 200, 30], [30, 30, 200], [200, 200, 20]];
    element(0x0002, 0x0010, b"UI", b"1.2.840.10008.1.2.1\0");
    element(0x0020, 0x9311, b"CS", b"TILED_FULL");
    element(0x0028, 0x0002, b"US", &[3, 0]);
    element(0x0028, 0x0004, b"CS", b"RGB ");
    element(0x0028, 0x0006, b"US", &[0, 0]);
    element(0x0028, 0x0008, b"IS", b"4 ");
    element(0x0028, 0x0010, b"US", &tile);
    element(0x0028, 0x0011, b"US", &tile);
    element(0x0028, 0x0100, b"US", &[8, 0]);
    element(0x0028, 0x0101, b"US", &[8, 0]);
    element(0x0028, 0x0102, b"US", &[7, 0]);
    element(0x0028, 0x0103, b"US", &[0, 0]);
    element(0x0048, 0x0006, b"UL", &whole);
    element(0x0048, 0x0007, b"UL", &whole);
    element(
        0x7fe0,
        0x0010,
        b"OB",
        &colors.map(|color: [u8; 3]| color.repeat(pixels)).concat(),
    );
    bytes
}

/// Assembles the slide; `None` if that does not end.
fn assembled() -> Option<Result<usize, ErrorKind>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let source = ImageSource::from_bytes(slide()).expect("a source");
        let made = source.assemble(0, 1, WaitPolicy::default(), &mut |_| true);
        let damaged = made.map(|made| made.expect("not cancelled").damaged);
        let _ = sender.send(damaged.map_err(|error| error.kind));
    });
    receiver.recv_timeout(Duration::from_secs(60)).ok()
}

#[test]
fn an_assembly_does_not_wait_for_the_memory_that_it_holds() {
    let side = u64::from(SIDE);
    // RGB twice for the canvas, and for a tile as read and as decoded; a quarter more for each.
    let (canvas, tile) = (4 * side * side * 6, side * side * 6);
    budget::decoding().set_total((canvas + tile) * 5 / 4);
    assert_eq!(assembled(), Some(Ok(0)));
    budget::decoding().set_total(canvas * 5 / 4);
    assert_eq!(assembled(), Some(Err(ErrorKind::TooLarge)));
    budget::decoding().set_total(1 << 30);
    assert_eq!(assembled(), Some(Ok(0)));
}
