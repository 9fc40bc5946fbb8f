"""What a board has and this machine has not: commands on a PATH of its own that behave like the real ones."""

from __future__ import annotations

import stat
import sys
import textwrap
from pathlib import Path

# As rpicam-apps does it: messages of libcamera on stderr, an error in stars and status 255; see apps/rpicam_vid.cpp of
# raspberrypi/rpicam-apps. What a camera is like is written in the file beside it.
RPICAM_VID = """
import argparse, sys, time
from pathlib import Path
import cv2, numpy

def fail(text):
    print(f"ERROR: *** {text} ***", file=sys.stderr, flush=True)
    sys.exit(255)

class Options(argparse.ArgumentParser):
    def error(self, message):
        fail(message)

options = Options(allow_abbrev=False)
options.add_argument("--camera", type=int, default=0)
options.add_argument("-n", "--nopreview", action="store_true")
options.add_argument("-t", "--timeout", type=int, default=5000)
options.add_argument("--width", type=int, default=0)
options.add_argument("--height", type=int, default=0)
options.add_argument("--framerate", type=float, default=-1.0)
options.add_argument("--codec", default="h264")
options.add_argument("-q", "--quality", type=int, default=50)
options.add_argument("--flush", action="store_true")
options.add_argument("-o", "--output", default="")
given = options.parse_args()
sensor = Path(__file__).with_name("sensor").read_text()
print("[0:08:17.6] [1234]  INFO Camera camera_manager.cpp:326 libcamera v0.5.0", file=sys.stderr, flush=True)
time.sleep(0.3)
if sensor == "none" or given.camera > 0:
    fail("no cameras available" if sensor == "none" else "selected camera is not available")
if sensor == "busy":
    print("[0:08:18.0] [1234]  INFO Camera camera.cpp:1020 Pipeline handler in use by another process", file=sys.stderr)
    fail("failed to acquire camera /base/axi/pcie@120000/rp1/i2c@88000/imx708@1a")
if given.codec != "mjpeg" or given.output != "-" or not given.nopreview:
    fail("this test wants JPEGs on standard output and no window")
begun = time.monotonic()
for number in range(10**9):
    if given.timeout and time.monotonic() - begun > given.timeout / 1000 or sensor == "ends" and number == 5:
        break
    while sensor == "hangs" and number == 5:
        time.sleep(1.0)
    picture = numpy.full((given.height, given.width, 3), 50 + number % 100, numpy.uint8)
    sys.stdout.buffer.write(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, given.quality])[1].tobytes())
    sys.stdout.buffer.flush()
    print(f"#{number} ({given.framerate:.2f} fps) exp 16000.00 ag 4.00 dg 1.00", file=sys.stderr, end="\\r")
    time.sleep(1 / given.framerate)
"""

# GStreamer itself, with pictures of its own in the place of the Jetson's camera and of what copies from its memory.
GST_LAUNCH = """
import os, sys
print("GST_ARGUS: Creating output stream", flush=True)
pipeline = " ".join(sys.argv[1:])
assert "nvarguscamerasrc sensor-id=0 " in pipeline, pipeline
pipeline = pipeline.replace("nvarguscamerasrc sensor-id=0", "videotestsrc is-live=true pattern=ball")
pipeline = pipeline.replace("video/x-raw(memory:NVMM)", "video/x-raw").replace("nvvidconv", "videoconvert ! videoscale")
pipeline = pipeline.removeprefix("-q ")
os.execv("/usr/bin/gst-launch-1.0", ["gst-launch-1.0", "-q", *pipeline.split()])
"""

# The part of picamera2 that is used, by the manual: what is called RGB888 comes as blue, green, red.
PICAMERA2 = """
import numpy

class Picamera2:
    open = []

    def __init__(self, camera_num=0):
        if camera_num > 0:
            raise IndexError("list index out of range")
        if Picamera2.open:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        Picamera2.open.append(self)
        self.shown = 0

    def create_video_configuration(self, main):
        return {"main": main}

    def configure(self, config):
        assert config["main"]["format"] == "RGB888"
        self.width, self.height = config["main"]["size"]

    def start(self):
        self.started = True

    def capture_array(self, name):
        assert self.started and name == "main"
        self.shown += 1
        return numpy.full((self.height, self.width, 3), (200, 100, 50), numpy.uint8)

    def close(self):
        Picamera2.open.remove(self)
"""


def put(folder: Path, name: str, program: str) -> Path:
    """A Python program as a command in `folder`, which is made where needed."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{textwrap.dedent(program)}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def raspberry(folder: Path, sensor: str = "fine", name: str = "rpicam-vid") -> Path:
    """A folder with a Pi's command for a camera that is 'fine', 'none', 'busy', 'ends' or 'hangs'."""
    put(folder, name, RPICAM_VID)
    (folder / "sensor").write_text(sensor)
    return folder
