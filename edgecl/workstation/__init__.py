"""What makes and trains backbones. Needs `edgecl[train]`; nothing here runs on a device."""

from edgecl.errors import ExtraMissing

try:
    import onnx  # noqa: F401  # every module here needs it; PyTorch is asked for only where it is used
except ModuleNotFoundError as error:
    raise ExtraMissing("making a backbone or a model file", "train") from error
