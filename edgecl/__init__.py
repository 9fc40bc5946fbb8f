"""edgecl: a camera that is taught on the spot and does not forget."""

import os
import sys

__version__ = "0.1.0"

# OpenCV reads this once, when it is first imported; without it a 400 kB PNG can ask for gigabytes.
IMAGE_PIXELS_MAX = 65_000_000  # the largest photographs of phones are 9248 × 6936 px
os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(IMAGE_PIXELS_MAX)
# These too are read once. OpenCV and FFmpeg must not write to the user's terminal: what they mean is in our errors.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # quiet
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "5")  # s; 10 without it, and V4L2 has no other time-out
# OpenBLAS's threads spin while they wait. Where anything else wants the cores, and the camera always does, a lesson of
# one second then takes ten; alone, a second thread saves less than half. Whoever has idle cores can set it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# ONNX Runtime would report its use to its maker; nothing that a camera does is to leave the device unasked.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
if "cv2" in sys.modules:  # imported before us; what can still be set is
    _logging = getattr(sys.modules["cv2"].utils, "logging", sys.modules["cv2"])  # OpenCV 4 has it at the top
    _logging.setLogLevel(0 if os.environ["OPENCV_LOG_LEVEL"] == "SILENT" else 3)
