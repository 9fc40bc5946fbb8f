"""A camera that speaks RTSP, made of Debian's GStreamer; a program for the system's own Python, which has its bindings.

Says its port in one line, then serves `rtsp://127.0.0.1:PORT/camera` until it is ended. SIGUSR1 freezes its picture,
SIGUSR2 lets it move again.
Arguments: port (0 for a free one), and user and password where it wants them.
"""

import signal
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

MOVING = "videotestsrc name=source is-live=true pattern=ball"
PICTURES = "video/x-raw,format=I420,width=320,height=240,framerate=15/1"
CODE = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96"

SOURCES = []  # of every pipeline that was made


class Factory(GstRtspServer.RTSPMediaFactory):
    """One pipeline for all who look on."""

    def do_create_element(self, url):
        pipeline = Gst.parse_launch(f"( {MOVING} ! {PICTURES} ! {CODE} )")
        SOURCES.append(pipeline.get_by_name("source"))
        return pipeline


def show(pattern):
    for source in SOURCES:
        source.set_property("pattern", pattern)
    return True


def wanting(user, password):
    """Who may look: those with this name and password."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    return auth


Gst.init(None)
server = GstRtspServer.RTSPServer(service=sys.argv[1], address="127.0.0.1")
factory = Factory(shared=True)
if len(sys.argv) > 2:
    server.set_auth(wanting(*sys.argv[2:4]))
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/camera", factory)
server.attach(None)
GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGUSR1, show, "black")
GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGUSR2, show, "ball")
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
