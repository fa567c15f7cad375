#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The referral encoder of the scripted namespace server against the vectors that real servers gave."""
import os
import struct
import sys
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from refer import BUFFER_OVERFLOW, GET_REFERRALS, GET_REFERRALS_EX, Referrals, output  # noqa: E402
from referral import Answer, Entry, Mangle, decode, encode, utf16  # noqa: E402


def vectors():
    found, name, hexed = {}, None, ""
    with open(os.path.join(HERE, "../vectors/dfs_referrals.txt"), encoding="ascii") as lines:
        for line in lines:
            line = line.rstrip("\n")
            if line.startswith("#"):
                continue
            if not line.startswith(" "):
                name, line = (line.split(" ", 1) + [""])[:2]
                hexed = ""
            more = line.endswith("-")
            hexed += line.strip().rstrip("-")
            if not more:
                found[name] = bytes.fromhex(hexed)
    return found


VECTORS = vectors()
ROOT = "\\10.123.0.10\\dfs"
FILE = ROOT + "\\both\\whoami.txt"
DEV = "\\dfsn-dev\\testroot1"
ANSWERS = {
    "samba_root_v3": (Answer(0x20, 3, [Entry(3, True, 0, 600, ROOT, ROOT, ROOT)]), False),
    "samba_link_v2": (Answer(0x2a, 2, [Entry(2, False, 0, 600, FILE, FILE, f"\\10.123.0.{n}\\data") for n in (11, 12)]),
                      False),
    "msdfsc_4_5": (Answer(0x26, 2, [Entry(3, True, 0, 300, DEV, DEV, f"\\cfs-41x-2c0{n}\\testroot1") for n in (3, 4)]),
                   True),
    "samba_sysvol_v4": (Answer(0x20, 3, [Entry(4, True, 4, 900, "\\eco.test\\sysvol", "\\eco.test\\sysvol",
                                               "\\dc1.eco.test\\sysvol")]), False),
    "samba_domains_v3": (Answer(0, 0, [Entry(3, False, 2, 600, name, names=[]) for name in ("\\ECO", "\\eco.test")]),
                         False),
    "samba_dcs_v3": (Answer(0x12, 0, [Entry(3, False, 2, 600, "eco.test", names=["\\dc1.eco.test"])]), False),
    "v1_link": (Answer(0x18, 2, [Entry(1, address="\\srv1\\share"), Entry(1, address="\\\\srv2\\share\\deep")]), False),
}


class Encoder(unittest.TestCase):
    def test_every_vector_has_its_answer(self):
        self.assertEqual(sorted(ANSWERS), sorted(VECTORS))

    def test_golden_bytes(self):
        for name, (answer, share) in ANSWERS.items():
            with self.subTest(name):
                answer.flags = VECTORS[name][4]
                self.assertEqual(encode(answer, share).hex(), VECTORS[name].hex())

    def test_decoded_again(self):
        for name, data in VECTORS.items():
            with self.subTest(name):
                self.assertEqual(encode(decode(data), ANSWERS[name][1]).hex(), data.hex())

    def test_inside(self):
        answer = Answer(4, 2, [Entry(4, False, 4, 5, "\\a", "\\a", f"\\h{n}\\s") for n in range(3000)])
        with self.assertRaises(ValueError):
            encode(answer)
        data = encode(answer, inside=True)
        self.assertEqual(decode(data).entries, answer.entries)

    def test_mangled(self):
        answer = Answer(4, 2, [Entry(3, path="\\a\\b", alternate="\\a\\b", address="\\h\\s")])
        good = encode(answer)
        for field, at, size in (("size", 10, 2), ("count", 2, 2), ("path_at", 20, 2), ("alternate_at", 22, 2),
                                ("address_at", 24, 2)):
            with self.subTest(field):
                wrong = Mangle()
                setattr(wrong, field, 0xEEEE)
                self.assertEqual(encode(answer, mangle=wrong), good[:at] + b"\xee\xee" + good[at + size:])
        wrong = Mangle()
        wrong.cut = 20
        self.assertEqual(encode(answer, mangle=wrong), good[:20])
        wrong = Mangle()
        wrong.odd = True
        self.assertEqual(encode(answer, mangle=wrong), good[:-2] + b"A")

    def test_lone_surrogate(self):
        answer = Answer(4, 2, [Entry(3, path="\\a", alternate="\\a", address="\\h%uD800x\\s")])
        self.assertTrue(encode(answer).endswith(b"h\0\x00\xd8x\0\\\0s\0\0\0"))


def header(message, is_response, status=0, signed=False):
    flags = (1 if is_response else 0) | (8 if signed else 0)
    return b"\xfeSMB" + struct.pack("<HHIHHIIQIIQ16x", 64, 1, status, 11, 33, flags, 0, message, 0, 7, 0x1122334455)


def framed(body):
    return struct.pack(">I", len(body)) + body


def question(path, level=4, message=9, room=4096, signed=False, site=None):
    data, code = struct.pack("<H", level) + utf16(path), GET_REFERRALS
    if site:
        names = b"".join(struct.pack("<H", len(utf16(name))) + utf16(name) for name in (path, site))
        data, code = struct.pack("<HHI", level, 1, len(names)) + names, GET_REFERRALS_EX
    return framed(header(message, False, signed=signed) + struct.pack(
        "<HHI16sIIIIIIII", 57, 0, code, b"\xff" * 16, 120, len(data), 0, 0, 0, room, 1, 0) + data)


def real_answer(data, message=9, status=0, signed=False):
    if status:
        return framed(header(message, True, status, signed) + struct.pack("<HBBIB", 9, 0, 0, 0, 0))
    return framed(header(message, True, 0, signed) + struct.pack(
        "<HHI16sIIIIII", 49, 0, GET_REFERRALS, b"\xff" * 16, 112, 0, 112, len(data), 0, 0) + data)


class Rules(unittest.TestCase):
    def setUp(self):
        self.rules, self.pending = Referrals(), {}

    def ask(self, path, real=b"", status=0, **more):
        """The answer's status and output."""
        signed = more.get("signed", False)
        passed = self.rules.request(question(path, **more), self.pending)
        self.assertEqual(passed, question(path, **more))
        frame = self.rules.answer(real_answer(real, status=status, signed=signed), self.pending)
        self.assertEqual(struct.unpack(">I", frame[:4])[0], len(frame) - 4)
        self.assertEqual(frame[4 + 24:4 + 64], real_answer(b"")[4 + 24:4 + 64])
        said = struct.unpack_from("<I", frame, 4 + 8)[0]
        return said, b"" if said else output(frame[4:])

    def test_own_targets(self):
        self.rules.set("/root/dfs/link version=4 ttl=5 flags=6 /t1/s /t2/s + /t3/s/p".split())
        status, data = self.ask("\\ROOT\\dfs\\Link\\file", status=0xC0000225)
        answer = decode(data)
        self.assertEqual((status, answer.consumed, answer.flags), (0, 2 * len("\\root\\dfs\\link"), 6))
        self.assertEqual([(e.version, e.ttl, e.flags, e.address) for e in answer.entries],
                         [(4, 5, 4, "\\t1\\s"), (4, 5, 0, "\\t2\\s"), (4, 5, 4, "\\t3\\s\\p")])
        self.assertIn("count=1 level=4 plain site=- path=\\ROOT\\dfs\\Link\\file", self.rules.show([]))

    def test_longest_path_counts(self):
        self.rules.set("/root/dfs status=0xC0000022".split())
        self.rules.set("/root/dfs/a none".split())
        self.assertEqual(self.ask("\\root\\dfs\\b")[0], 0xC0000022)
        self.assertEqual(self.ask("\\root\\dfs\\a\\b"), (0, encode(Answer(2 * len("\\root\\dfs\\a"), 2))))
        self.assertEqual(self.ask("\\other\\dfs\\a", b"as it is"), (0, b"as it is"))
        self.rules.set(["off"])
        self.assertEqual(self.ask("\\root\\dfs\\b", status=0xC0000225)[0], 0xC0000225)

    def test_real_answer_changed(self):
        self.rules.set("* ttl=4294967295 version=4 flags=6 times=1".split())
        answer = decode(self.ask("\\x\\y", VECTORS["samba_link_v2"])[1])
        self.assertEqual([(e.version, e.ttl, e.flags, e.address) for e in answer.entries],
                         [(4, 4294967295, 4, "\\10.123.0.11\\data"), (4, 4294967295, 0, "\\10.123.0.12\\data")])
        self.assertEqual(self.ask("\\x\\y", VECTORS["samba_link_v2"])[1], VECTORS["samba_link_v2"])

    def test_names_as_samba_gives_them(self):
        self.rules.set("/ version=3 special=/ECO special=/eco.test".split())
        self.rules.set("/eco.test version=3 special=eco.test /dc1.eco.test".split())
        self.assertEqual(self.ask("")[1], VECTORS["samba_domains_v3"])
        self.assertEqual(self.ask("\\eco.test")[1], VECTORS["samba_dcs_v3"])

    def test_numbers_in_paths(self):
        self.rules.set("/*/dfs/deep%d /root/dfs/deep%n".split())
        answer = decode(self.ask("\\root\\dfs\\deep41\\x")[1])
        self.assertEqual(answer.entries[0].address, "\\root\\dfs\\deep42")
        self.assertEqual(answer.consumed, 2 * len("\\root\\dfs\\deep41"))

    def test_too_much(self):
        self.rules.set("/r/d inside repeat=10000 /host%i/share".split())
        self.assertEqual(self.ask("\\r\\d", room=65536)[0], BUFFER_OVERFLOW)
        self.rules.set("/r/d inside repeat=10000 big /host%i/share".split())
        self.assertEqual(decode(self.ask("\\r\\d")[1]).entries[9999].address, "\\host9999\\share")

    def test_signed_is_left_alone(self):
        self.rules.set("* none".split())
        self.assertEqual(self.ask("\\r\\d", b"real", signed=True), (0, b"real"))
        self.assertIn("signed=1", self.rules.show([]))

    def test_site_and_request_changed(self):
        self.ask("\\r\\d", site="Here")
        self.assertIn("count=1 level=4 ex site=Here path=\\r\\d", self.rules.show([]))
        self.rules.set("/r/d ask level=2 path=/r/e".split())
        self.assertEqual(self.rules.request(question("\\r\\d"), {}), question("\\r\\e", level=2))

    def test_nonsense_is_refused(self):
        for line in ("/r/d frobnicate", "/r/d version=x", "/r/d repeat=3000 /host/share", "/r/d ask", "/r/d ask who=1"):
            with self.subTest(line):
                try:
                    self.assertTrue(self.rules.set(line.split()).startswith("error"))
                except ValueError:
                    pass
                self.assertFalse(self.rules.rules)


if __name__ == "__main__":
    unittest.main()
