"""The few calls of libX11 that the window tests make, over ctypes: atoms, properties, messages, and pictures of a window."""

import ctypes
import ctypes.util
import struct
import sys
import zlib
from ctypes import CFUNCTYPE, POINTER, Structure, Union, byref, c_char_p, c_int, c_long, c_ubyte, c_uint, c_ulong, c_void_p

CLIENT_MESSAGE, SELECTION_REQUEST, SELECTION_NOTIFY = 33, 30, 31
Z_PIXMAP = 2


class ClientMessage(Structure):
    _fields_ = [("type", c_int), ("serial", c_ulong), ("send_event", c_int), ("display", c_void_p), ("window", c_ulong), ("message_type", c_ulong),
                ("format", c_int), ("data", c_long * 5)]


class SelectionRequest(Structure):
    _fields_ = [("type", c_int), ("serial", c_ulong), ("send_event", c_int), ("display", c_void_p), ("owner", c_ulong), ("requestor", c_ulong),
                ("selection", c_ulong), ("target", c_ulong), ("property", c_ulong), ("time", c_ulong)]


class SelectionNotify(Structure):
    _fields_ = [("type", c_int), ("serial", c_ulong), ("send_event", c_int), ("display", c_void_p), ("requestor", c_ulong), ("selection", c_ulong),
                ("target", c_ulong), ("property", c_ulong), ("time", c_ulong)]


class Event(Union):
    _fields_ = [("type", c_int), ("message", ClientMessage), ("request", SelectionRequest), ("notify", SelectionNotify), ("pad", c_long * 24)]


class Image(Structure):  # as far as it is read here
    _fields_ = [("width", c_int), ("height", c_int), ("xoffset", c_int), ("format", c_int), ("data", c_void_p), ("byte_order", c_int),
                ("bitmap_unit", c_int), ("bitmap_bit_order", c_int), ("bitmap_pad", c_int), ("depth", c_int), ("bytes_per_line", c_int),
                ("bits_per_pixel", c_int)]


def library():
    x = ctypes.CDLL(ctypes.util.find_library("X11") or "libX11.so.6")
    for name, result, arguments in (
        ("XOpenDisplay", c_void_p, [c_char_p]),
        ("XCloseDisplay", c_int, [c_void_p]),
        ("XConnectionNumber", c_int, [c_void_p]),
        ("XDefaultRootWindow", c_ulong, [c_void_p]),
        ("XCreateSimpleWindow", c_ulong, [c_void_p, c_ulong, c_int, c_int, c_uint, c_uint, c_uint, c_ulong, c_ulong]),
        ("XDestroyWindow", c_int, [c_void_p, c_ulong]),
        ("XInternAtom", c_ulong, [c_void_p, c_char_p, c_int]),
        ("XSetSelectionOwner", c_int, [c_void_p, c_ulong, c_ulong, c_ulong]),
        ("XGetWindowProperty", c_int, [c_void_p, c_ulong, c_ulong, c_long, c_long, c_int, c_ulong, POINTER(c_ulong), POINTER(c_int),
                                       POINTER(c_ulong), POINTER(c_ulong), POINTER(c_void_p)]),
        ("XChangeProperty", c_int, [c_void_p, c_ulong, c_ulong, c_ulong, c_int, c_int, c_void_p, c_int]),
        ("XTranslateCoordinates", c_int, [c_void_p, c_ulong, c_ulong, c_int, c_int, POINTER(c_int), POINTER(c_int), POINTER(c_ulong)]),
        ("XSendEvent", c_int, [c_void_p, c_ulong, c_int, c_long, POINTER(Event)]),
        ("XPending", c_int, [c_void_p]),
        ("XNextEvent", c_int, [c_void_p, POINTER(Event)]),
        ("XFlush", c_int, [c_void_p]),
        ("XFree", c_int, [c_void_p]),
        ("XGetGeometry", c_int, [c_void_p, c_ulong, POINTER(c_ulong), POINTER(c_int), POINTER(c_int), POINTER(c_uint), POINTER(c_uint),
                                 POINTER(c_uint), POINTER(c_uint)]),
        ("XGetImage", POINTER(Image), [c_void_p, c_ulong, c_int, c_int, c_uint, c_uint, c_ulong, c_int]),
        ("XDestroyImage", c_int, [POINTER(Image)]),
    ):
        function = getattr(x, name)
        function.restype, function.argtypes = result, arguments
    return x


class ErrorReport(Structure):
    _fields_ = [("type", c_int), ("display", c_void_p), ("resource", c_ulong), ("serial", c_ulong), ("code", c_ubyte), ("request", c_ubyte),
                ("minor", c_ubyte)]


def note_error(_, report):
    """Xlib would end the script at once; a window that is gone shows in what comes back as well."""
    facts = report.contents
    print(f"x11: error {facts.code} of request {facts.request} about window {facts.resource:#x}", file=sys.stderr)
    return 0


NOTE_ERROR = CFUNCTYPE(c_int, c_void_p, POINTER(ErrorReport))(note_error)


class Display:
    """A connection to the display that DISPLAY names."""

    def __init__(self):
        self.x = library()
        self.x.XSetErrorHandler(NOTE_ERROR)
        self.handle = self.x.XOpenDisplay(None)
        assert self.handle, "no X display"
        self.root = self.x.XDefaultRootWindow(self.handle)

    def close(self):
        self.x.XCloseDisplay(self.handle)

    def atom(self, name):
        return self.x.XInternAtom(self.handle, name.encode(), 0)

    def numbers_of(self, window, name):
        """A property that holds 32-bit numbers; empty where the window has none of that name."""
        kind, form, count, left, data = c_ulong(), c_int(), c_ulong(), c_ulong(), c_void_p()
        self.x.XGetWindowProperty(self.handle, window, self.atom(name), 0, 64, 0, 0, byref(kind), byref(form), byref(count), byref(left), byref(data))
        if not data.value:
            return []
        found = list(ctypes.cast(data, POINTER(c_ulong))[: count.value]) if form.value == 32 else []
        self.x.XFree(data)
        return found

    def place_on_screen(self, window, x, y):
        at_x, at_y, child = c_int(), c_int(), c_ulong()
        self.x.XTranslateCoordinates(self.handle, window, self.root, x, y, byref(at_x), byref(at_y), byref(child))
        return at_x.value, at_y.value

    def picture(self, window):
        root, x, y, width, height, border, depth = c_ulong(), c_int(), c_int(), c_uint(), c_uint(), c_uint(), c_uint()
        there = self.x.XGetGeometry(self.handle, window, byref(root), byref(x), byref(y), byref(width), byref(height), byref(border), byref(depth))
        assert there, "the window is gone"
        image = self.x.XGetImage(self.handle, window, 0, 0, width, height, c_ulong(-1), Z_PIXMAP)
        assert image, "the window has no picture"
        facts = image.contents
        assert facts.bits_per_pixel == 32 and facts.byte_order == 0, "a display of another kind than the tests' own"
        data = ctypes.string_at(facts.data, facts.bytes_per_line * facts.height)
        assert facts.bytes_per_line == 4 * facts.width
        self.x.XDestroyImage(image)
        return Picture(width.value, height.value, data)


class Picture:
    """Pixels of a window, blue, green, red and one byte more each."""

    def __init__(self, width, height, data):
        self.width, self.height, self.data = width, height, data

    def rows(self, left, top, right, bottom):
        """The bytes of a part of it, row by row."""
        return [self.data[4 * (y * self.width + left) : 4 * (y * self.width + right)] for y in range(top, bottom)]

    def column_runs(self, x, colour, top, bottom):
        """Lengths of the vertical runs of exactly this (red, green, blue) in one column."""
        wanted = bytes(reversed(colour))
        runs, length = [], 0
        for y in range(top, bottom):
            at = 4 * (y * self.width + x)
            if self.data[at : at + 3] == wanted:
                length += 1
            elif length:
                runs.append(length)
                length = 0
        return runs + [length] if length else runs

    def save(self, file):
        lines = []
        for row in self.rows(0, 0, self.width, self.height):
            line = bytearray(3 * self.width)
            line[0::3], line[1::3], line[2::3] = row[2::4], row[1::4], row[0::4]
            lines.append(b"\0" + bytes(line))
        write_png(file, self.width, self.height, b"".join(lines))


def write_png(file, width, height, lines):
    """`lines`: RGB, a zero byte in front of each."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines, 6)) + chunk(b"IEND", b""))


def png_texts(data):
    """What a PNG says of itself in its text chunks."""
    texts, at = {}, 8
    while at + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        if kind == b"tEXt":
            key, value = body.split(b"\0", 1)
            texts[key.decode("latin-1")] = value.decode("utf-8", "replace")
        elif kind == b"iTXt":
            key, rest = body.split(b"\0", 1)
            texts[key.decode("latin-1")] = rest[2:].split(b"\0", 2)[2].decode("utf-8", "replace")
        at += 12 + size
    return texts
