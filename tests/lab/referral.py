# SPDX-License-Identifier: GPL-2.0
"""Referral answers (MS-DFSC 2.2.4, 2.2.5) as a scripted namespace server gives them: well-formed or not, on purpose.

`encode` and `decode` turn an Answer into bytes and back; Mangle is what `encode` does wrong.
"""
import struct

NAME_LIST = 0x2
TARGET_SET_BOUNDARY = 0x4
MAX_OFFSET = 0xFFFF


class Entry:
    """A target (path, alternate, address), or a list of names (special, names) if names is not None."""

    def __init__(self, version=3, root=False, flags=0, ttl=600, path="", alternate="", address="", names=None):
        self.version, self.root, self.flags, self.ttl = version, root, flags, ttl
        self.path, self.alternate, self.address, self.names = path, alternate, address, names

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __repr__(self):
        return f"Entry({vars(self)})"


class Answer:
    """consumed: bytes of UTF-16; flags: those of the header (2.2.4)."""

    def __init__(self, consumed=0, flags=2, entries=()):
        self.consumed, self.flags, self.entries = consumed, flags, list(entries)


class Mangle:
    """Fields that are written as told, whatever is true; None is the truth."""

    def __init__(self):
        self.size = self.count = self.path_at = self.alternate_at = self.address_at = self.cut = None
        self.odd = False


def utf16(text):
    """UTF-16 with its end; "%uXXXX" in the text is that unit, surrogate or not."""
    data, rest = b"", text
    while "%u" in rest:
        plain, _, rest = rest.partition("%u")
        data += plain.encode("utf-16-le") + struct.pack("<H", int(rest[:4], 16))
        rest = rest[4:]
    return data + rest.encode("utf-16-le") + b"\0\0"


class Strings:
    """The strings after the entries, and where they are; with `share`, none of a kind is there twice."""

    def __init__(self, base, share):
        self.data, self.base, self.share, self.known = bytearray(), base, share, {}

    def put(self, kind, text, entry_at):
        """The offset of a string from the start of its entry."""
        key = (kind, text)
        if not self.share or key not in self.known:
            self.known[key] = self.base + len(self.data)
            self.data += utf16(text)
        offset = self.known[key] - entry_at
        if offset > MAX_OFFSET:
            raise ValueError(f"a string {offset} bytes after its entry: fewer targets, or the word inside")
        return offset


def fixed_size(version):
    return 22 if version == 2 else 34


def encode(answer, share=False, inside=False, mangle=None):
    """The bytes of an answer. Strings follow the last entry, or with `inside` each its own entry."""
    wrong = mangle or Mangle()
    data = bytearray()
    total = sum(fixed_size(entry.version) for entry in answer.entries if entry.version > 1)
    strings = Strings(total, share)
    for entry in answer.entries:
        if entry.version == 1:
            name = utf16(entry.address)
            data += struct.pack("<HHHH", 1, pick(wrong.size, 8 + len(name)), entry.root, entry.flags) + name
        elif inside:
            own = Strings(fixed_size(entry.version), False)
            head = fixed(entry, own, 0, wrong)
            size = pick(wrong.size, len(head) + len(own.data))
            data += head[:2] + struct.pack("<H", size) + head[4:] + own.data
        else:
            data += fixed(entry, strings, len(data), wrong)
    data += strings.data
    if wrong.odd:
        data[-2:] = b"A"
    count = pick(wrong.count, len(answer.entries))
    return (struct.pack("<HHI", answer.consumed, count, answer.flags) + data)[:wrong.cut]


def pick(told, true):
    return true if told is None else told


def fixed(entry, strings, at, wrong):
    """The fixed part of an entry of version 2 to 4, which is `at` bytes from the first."""
    size = pick(wrong.size, fixed_size(entry.version))
    head = struct.pack("<HHHH", entry.version, size, entry.root, entry.flags)
    if entry.names is not None:
        special = strings.put("special", entry.path, at)
        expanded = [strings.put("name", name, at) for name in entry.names][:1] or [0]
        three = (pick(wrong.path_at, special), len(entry.names), pick(wrong.address_at, expanded[0]))
    else:
        three = (pick(wrong.path_at, strings.put("path", entry.path, at)),
                 pick(wrong.alternate_at, strings.put("alternate", entry.alternate, at)),
                 pick(wrong.address_at, strings.put("address", entry.address, at)))
    if entry.version == 2:
        return head + struct.pack("<IIHHH", 0, entry.ttl, *three)
    return head + struct.pack("<IHHH16x", entry.ttl, *three)


def text_at(data, at):
    end = at
    while data[end:end + 2] != b"\0\0":
        if end + 2 > len(data):
            raise ValueError("a string without an end")
        end += 2
    return data[at:end].decode("utf-16-le", "surrogatepass"), end + 2


def decode(data):
    """The answer of a real server. Raises if it is malformed."""
    consumed, count, flags = struct.unpack_from("<HHI", data)
    answer, at = Answer(consumed, flags), 8
    for _ in range(count):
        version, size, root, entry_flags = struct.unpack_from("<HHHH", data, at)
        entry = Entry(version, bool(root), entry_flags)
        if version == 1:
            entry.address = text_at(data, at + 8)[0]
        else:
            skip = 12 if version == 2 else 8
            entry.ttl, *three = struct.unpack_from("<IHHH", data, at + skip)
            if entry_flags & NAME_LIST and version > 2:
                names_of(entry, data, at, three)
            else:
                entry.path, entry.alternate, entry.address = (text_at(data, at + offset)[0] for offset in three)
        answer.entries.append(entry)
        at += size
    return answer


def names_of(entry, data, at, three):
    special, count, expanded = three
    entry.path, entry.names, where = text_at(data, at + special)[0], [], at + expanded
    for _ in range(count):
        name, where = text_at(data, where)
        entry.names.append(name)
