"""The one place that imports TensorFlow: quiet, bounded in threads, deterministic, with a remedy if it is absent."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

from preference.errors import NeedsExtra

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its sums differ between machines

_KEEP = {-8: 1, -3: 1 << 30, -1: (1 << 31) - 1}  # M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD: bytes


def _keep_memory() -> None:
    """Large temporaries of a step are taken from memory that is there: fresh pages each time cost a third of it."""
    tune = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if tune is not None:  # it is glibc's
        for setting, value in _KEEP.items():
            tune(setting, value)


_keep_memory()
try:
    import tensorflow
except ImportError as error:
    raise NeedsExtra("tensorflow-cpu") from error

tf: Any = tensorflow


def set_up(threads: int) -> None:
    """Once, before anything is computed; a second call is refused by TensorFlow unless it says the same."""
    if tf.config.threading.get_intra_op_parallelism_threads() != threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()


def times(left: Any, right: Any) -> Any:
    """left (a, b) or (n, a, b), n unknown perhaps, @ right (b, c)."""
    left = tf.convert_to_tensor(left)
    if left.shape.rank == 2:
        return tf.matmul(left, right)
    flat = tf.matmul(tf.reshape(left, (-1, right.shape[0])), right)
    return tf.reshape(flat, (-1, left.shape[1], right.shape[1]))


class ByLength:
    """A function compiled once for each length of window, for any number of windows."""

    def __init__(self, run: Any) -> None:
        self._run = run
        self._compiled: dict[int, Any] = {}

    def __call__(self, length: int, *arrays: Any) -> Any:
        tensors = [tf.convert_to_tensor(array) for array in arrays]
        if length not in self._compiled:
            specs = [tf.TensorSpec([None, *t.shape[1:]] if t.shape.rank else [], t.dtype) for t in tensors]
            self._compiled[length] = tf.function(self._run, input_signature=specs)
        return self._compiled[length](*tensors)
