//! Fuzzes compressed frames under every transfer syntax, in an otherwise valid object: the first bytes choose the
//! syntax and the attributes, the rest is the stream. This way the fuzzer reaches the decoders without having to get
//! through the data set.
#![no_main]

#[path = "show.rs"]
mod show;

/// The ends of transfer syntax UIDs, one for each codec.
const SYNTAXES: [&str; 8] = ["4.50", "4.70", "4.80", "4.90", "4.201", "4.110", "5", "8.1"];
const PHOTOMETRIC: [&str; 4] = ["MONOCHROME2 ", "RGB ", "YBR_FULL", "PALETTE COLOR "];

fn element(out: &mut Vec<u8>, tag: u32, vr: &[u8; 2], value: &[u8]) {
    out.extend(((tag >> 16) as u16).to_le_bytes());
    out.extend((tag as u16).to_le_bytes());
    out.extend(vr);
    out.extend((value.len() as u16).to_le_bytes());
    out.extend(value);
}

/// Wraps a stream in an object.
fn object(choice: [u8; 6], stream: &[u8]) -> Vec<u8> {
    let [syntax, photometric, rows, columns, bits, signed] = choice;
    let mut out = vec![0; 128];
    out.extend(b"DICM");
    let mut uid = format!(
        "1.2.840.10008.1.2.{}",
        SYNTAXES[usize::from(syntax) % SYNTAXES.len()]
    );
    if uid.len() % 2 == 1 {
        uid.push('\0');
    }
    element(&mut out, 0x0002_0010, b"UI", uid.as_bytes());
    let photometric = PHOTOMETRIC[usize::from(photometric) % PHOTOMETRIC.len()];
    let samples = if photometric == "RGB " || photometric == "YBR_FULL" {
        3
    } else {
        1
    };
    let allocated: u16 = if bits % 32 < 8 { 8 } else { 16 };
    let stored = u16::from(bits % 32 % 16) + 1;
    let short = |out: &mut Vec<u8>, tag, value: u16| element(out, tag, b"US", &value.to_le_bytes());
    short(&mut out, 0x0028_0002, samples);
    element(&mut out, 0x0028_0004, b"CS", photometric.as_bytes());
    short(&mut out, 0x0028_0010, u16::from(rows));
    short(&mut out, 0x0028_0011, u16::from(columns));
    short(&mut out, 0x0028_0100, allocated);
    short(&mut out, 0x0028_0101, stored);
    short(&mut out, 0x0028_0103, u16::from(signed & 1));
    out.extend([
        0xe0, 0x7f, 0x10, 0x00, b'O', b'B', 0, 0, 0xff, 0xff, 0xff, 0xff,
    ]);
    for part in [&[], stream] {
        out.extend([0xfe, 0xff, 0x00, 0xe0]);
        out.extend((part.len() as u32).to_le_bytes());
        out.extend(part);
    }
    out.extend([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
    out
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some((choice, stream)) = bytes.split_first_chunk::<6>() {
        show::show(&object(*choice, stream));
    }
});
