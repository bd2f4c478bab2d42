"""Cuts coded frames out of DICOM files, as seeds of the `stream` target: OUT FOLDER...

Only the standard library is used: the first fragment after the offset table is found by its item headers.
"""

import pathlib
import struct
import sys

SYNTAXES = ["4.50", "4.70", "4.80", "4.90", "4.201", "4.110", "5", "8.1"]
LIKE = {"4.51": "4.50", "4.53": "4.50", "4.55": "4.50", "4.57": "4.70", "4.81": "4.80", "4.91": "4.90", "4.112": "4.110"}
PHOTOMETRIC = [b"MONOCHROME2", b"RGB", b"YBR_FULL", b"PALETTE COLOR"]
PIXELS = b"\xe0\x7f\x10\x00"


def short(data, element):
    """A US value of group 0028 in Explicit VR Little Endian."""
    at = data.find(struct.pack("<HH2sH", 0x28, element, b"US", 2))
    return struct.unpack_from("<H", data, at + 8)[0] if at >= 0 else 0


def seed(data):
    at = data.find(b"1.2.840.10008.1.2.")
    uid = data[at + 18 : at + 26].split(b"\0")[0]
    uid = "".join(c for c in uid.decode("latin-1") if c.isdigit() or c == ".")
    uid = LIKE.get(uid, uid)
    start = data.rfind(PIXELS)
    if uid not in SYNTAXES or start < 0 or data[start + 8 : start + 12] != b"\xff" * 4:
        return None
    table = struct.unpack_from("<I", data, start + 16)[0]
    item = start + 20 + table
    length = struct.unpack_from("<I", data, item + 4)[0]
    stream = data[item + 8 : item + 8 + length]
    kind = next((n for n, name in enumerate(PHOTOMETRIC) if name in data), 0)
    rows, columns, stored = short(data, 0x10), short(data, 0x11), short(data, 0x101)
    if not 0 < rows < 256 or not 0 < columns < 256 or not 0 < stored <= 16:
        return None
    bits = stored - 1 + (16 if stored <= 8 and short(data, 0x100) == 16 else 0)
    return bytes([SYNTAXES.index(uid), kind, rows, columns, bits, short(data, 0x103) & 1]) + stream


def main():
    out = pathlib.Path(sys.argv[1])
    for folder in sys.argv[2:]:
        for path in pathlib.Path(folder).rglob("*"):
            found = seed(path.read_bytes()) if path.is_file() else None
            if found and len(found) < 1 << 17:
                (out / path.name).write_bytes(found)


main()
