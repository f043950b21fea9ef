#!/usr/bin/env python3
"""Makes the golden files of disk format version 1 from the tables of the format, without any code of
raftd. They are released: a change to them is a change of the format."""

import pathlib
import struct

HERE = pathlib.Path(__file__).parent
BLOCK = 4096


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def pad(data, unit):
    return data + bytes(-len(data) % unit)


CLUSTER = bytes(range(16))
NODE = 7


def identity():
    def fields(crc):
        return (b"RFTDIDN1" + struct.pack("<II", 1, crc) + CLUSTER
                + struct.pack("<QQ", NODE, 0x1122334455667788))
    return fields(crc32c(fields(0)))


def segment_header(seq, incarnation, first_frame, prev, hard, seal_crc, created):
    def fields(crc):
        return (b"RFTDSEG1" + struct.pack("<II", 1, crc) + CLUSTER
                + struct.pack("<QQQQ", NODE, seq, incarnation, first_frame)
                + struct.pack("<QQ", *prev) + struct.pack("<QQ", *hard)
                + struct.pack("<QQ", 0, 0) + struct.pack("<II", seal_crc, 0)
                + struct.pack("<Q", created))
    return pad(fields(crc32c(fields(0))), BLOCK)


def record(kind, term, index, payload=b"", entry_kind=0):
    rest = struct.pack("<IBBHIQQ", len(payload), kind, entry_kind, 0, 0, term, index)
    crc = crc32c(rest + payload)
    return crc, pad(struct.pack("<I", crc) + rest + payload, 8)


def frame(seq, incarnation, number, records):
    payload = b"".join(data for _, data in records)
    crcs = crc32c(b"".join(struct.pack("<I", crc) for crc, _ in records))

    def fields(crc):
        return (b"RFRM" + struct.pack("<I", crc)
                + struct.pack("<QQQ", incarnation, seq, number)
                + struct.pack("<IIII", len(payload), len(records), crcs, 0))
    return pad(fields(crc32c(fields(0))) + payload, BLOCK)


def configuration():
    data = struct.pack("<BBBBBBH", 1, 0, 2, 0, 1, 3, 0)
    data += struct.pack("<QQ", 7, 9) + struct.pack("<Q", 12)
    for node, address in ((7, b"a:1"), (9, b"bb:22"), (12, b"ccc:333")):
        data += struct.pack("<QH", node, len(address)) + address
    return data


ENTRY, HARD_STATE, SEAL, CLEAN = 1, 2, 3, 4
NOOP, COMMAND, CONFIGURATION = 1, 2, 3


def main():
    (HERE / "v1-identity.bin").write_bytes(identity())

    salt = 0xABCDEF0123456789
    clean = record(CLEAN, 1, 1)
    first = (segment_header(1, salt, 1, (0, 0), (0, 0), 0, 1_700_000_000_000_000_000)
             + frame(1, salt, 1, [record(HARD_STATE, 1, 0),
                                  record(ENTRY, 1, 1, configuration(), CONFIGURATION)])
             + frame(1, salt, 2, [clean]))
    (HERE / "v1-first-segment.bin").write_bytes(first)

    salt = 0x42
    second = (segment_header(2, salt, 3, (1, 1), (1, 0), clean[0], 5)
              + frame(2, salt, 3, [record(HARD_STATE, 3, 9), record(ENTRY, 3, 2, b"", NOOP),
                                   record(ENTRY, 3, 3, b"12345678put a b", COMMAND)])
              + frame(2, salt, 4, [record(HARD_STATE, 3, 9)])
              + frame(2, salt, 5, [record(HARD_STATE, 3, 9), record(ENTRY, 3, 3, b"other", COMMAND)])
              + frame(2, salt, 6, [record(CLEAN, 3, 3)]))
    (HERE / "v1-second-segment.bin").write_bytes(second)


if __name__ == "__main__":
    main()
