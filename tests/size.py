#!/usr/bin/env python3
"""How many bytes of a program are loaded, which is what is left of its file without symbols, and
whether that is at most as many as it is to be: size.py PROGRAM BYTES_MAX"""
import struct
import sys

PT_LOAD = 1


def loaded_bytes(path):
    with open(path, "rb") as f:
        head = f.read(64)
        assert head[:5] == b"\x7fELF\x02", f"{path}: not a program of 64 bits"
        (table,) = struct.unpack_from("<Q", head, 32)
        each, count = struct.unpack_from("<HH", head, 54)
        f.seek(table)
        rows = [f.read(each) for _ in range(count)]
    ends = []
    for row in rows:
        (kind,) = struct.unpack_from("<I", row, 0)
        (offset,) = struct.unpack_from("<Q", row, 8)
        (in_file,) = struct.unpack_from("<Q", row, 32)
        if kind == PT_LOAD:
            ends.append(offset + in_file)
    return max(ends)


program, bytes_max = sys.argv[1], int(sys.argv[2])
found = loaded_bytes(program)
print(f"{program}: {found} bytes are loaded, at most {bytes_max} may be")
sys.exit(found > bytes_max)
