"""A program that files are dragged from: the source's side of XDND, version 5, over libX11 alone.

    with DragSource() as source:
        accepted = source.drop(window, [path, ...], 400, 300)
"""

import os
import select
import time
import urllib.parse

from x11 import CLIENT_MESSAGE, SELECTION_NOTIFY, SELECTION_REQUEST, Display, Event, byref

VERSION = 5
COPY, URI_LIST = "XdndActionCopy", "text/uri-list"
LIMIT_SECONDS = 60  # for each answer; a loaded machine draws a frame in a second at most


def uri_of(path):
    """As file managers write it: every byte that is no plain letter as %XX."""
    return "file://" + urllib.parse.quote(os.fsencode(path))


class DragSource:
    def __init__(self):
        self.display = Display()
        x, handle, root = self.display.x, self.display.handle, self.display.root
        self.window = x.XCreateSimpleWindow(handle, root, 0, 0, 1, 1, 0, 0, 0)
        self.served = 0  # how often the list was asked for

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.display.x.XDestroyWindow(self.display.handle, self.window)
        self.display.close()

    def drop(self, target, things, x, y, types=(URI_LIST,)):
        """Drags `things` (paths, or whole addresses as str with ://) over the window and lets go at x, y in it. True: it was taken."""
        lines = [thing if isinstance(thing, str) and "://" in thing else uri_of(thing) for thing in things]
        return self.drop_text(target, "".join(line + "\r\n" for line in lines).encode(), x, y, types)

    def drop_text(self, target, text, x, y, types=(URI_LIST,)):
        d = self.display
        versions = d.numbers_of(target, "XdndAware")
        assert versions, "the window takes no drops: it has no XdndAware"
        version = min(VERSION, versions[0])
        selection = d.atom("XdndSelection")
        d.x.XSetSelectionOwner(d.handle, selection, self.window, 0)
        self._tell(target, "XdndEnter", version << 24, *[d.atom(name) for name in types][:3])
        for step in (2, 1, 0):  # in from the left, as a hand moves; each place is answered before the next
            at_x, at_y = d.place_on_screen(target, x - 10 * step, y)
            self._tell(target, "XdndPosition", 0, at_x << 16 | at_y, 0, d.atom(COPY))
            status = self._answer(target, "XdndStatus", text)
        if not status.data[1] & 1:
            self._tell(target, "XdndLeave")
            return False
        self._tell(target, "XdndDrop", 0, 0)
        finished = self._answer(target, "XdndFinished", text)
        assert self.served, "the window never asked what was dropped"
        return finished.data[1] != 0  # bit 0 by the protocol; GLFW puts the number of bytes that it read there

    def _tell(self, target, kind, *numbers):
        d, event = self.display, Event()
        event.message.type = CLIENT_MESSAGE
        event.message.window = target
        event.message.message_type = d.atom(kind)
        event.message.format = 32
        event.message.data[0] = self.window
        for place, number in enumerate(numbers, 1):
            event.message.data[place] = number
        d.x.XSendEvent(d.handle, target, 0, 0, byref(event))
        d.x.XFlush(d.handle)

    def _answer(self, target, kind, text):
        """The target's next message of that kind; what is asked of the selection meanwhile is answered."""
        d, end, wanted = self.display, time.monotonic() + LIMIT_SECONDS, self.display.atom(kind)
        while True:
            while d.x.XPending(d.handle):
                event = Event()
                d.x.XNextEvent(d.handle, byref(event))
                if event.type == SELECTION_REQUEST:
                    self._give(event.request, text)
                elif event.type == CLIENT_MESSAGE and event.message.message_type == wanted:
                    assert event.message.data[0] == target, f"{kind} from another window"
                    return event.message
            left = end - time.monotonic()
            assert left > 0, f"no {kind} from the window within {LIMIT_SECONDS} s"
            select.select([d.x.XConnectionNumber(d.handle)], [], [], left)

    def _give(self, request, text):
        d, reply = self.display, Event()
        reply.notify.type = SELECTION_NOTIFY
        reply.notify.requestor = request.requestor
        reply.notify.selection = request.selection
        reply.notify.target = request.target
        reply.notify.time = request.time
        if request.target == d.atom(URI_LIST):
            d.x.XChangeProperty(d.handle, request.requestor, request.property, request.target, 8, 0, text, len(text))
            reply.notify.property = request.property
            self.served += 1
        d.x.XSendEvent(d.handle, request.requestor, 0, 0, byref(reply))
        d.x.XFlush(d.handle)
