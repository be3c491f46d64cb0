"""Cross entropy over a whole catalogue: at once for few places, or chunk by chunk for many.

By chunks the scores stay in the processor's cache: what they are and both their slopes are computed in one pass, and
nothing as large as places x items is ever in memory.
"""

from __future__ import annotations

from typing import Any

from preference.tensors import tf

_SCORES = 1_750_000  # at once: 7 MB
_BARRED = -1e9

Bars = tuple[Any, Any, Any]


def barred_entropy(asked: Any, known: Any, wanted: Any, bars: Any) -> Any:
    """(P, members). asked (P, members, width); known (N, members, width); wanted (P,); bars (P, N): 1, left out."""
    score = tf.einsum("pkw,nkw->pkn", asked, known) + tf.cast(bars, tf.float32)[:, None] * _BARRED
    return tf.reduce_logsumexp(score, -1) - tf.gather(score, wanted[:, None], axis=2, batch_dims=1)[..., 0]


def chunked_entropy(asked: Any, known: Any, wanted: Any, counts: Any, bars: Bars | None, *, half: bool) -> Any:
    """Sum of counts x cross entropy of <asked, known> with `wanted`, which is not barred.

    asked (P, width); known (N, width); wanted (P,) rows of known; counts (P,). Only asked and known have slopes.
    bars: what `seen` gives; None: nothing is left out. half: products of 16-bit numbers.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def summed(asked: Any, known: Any) -> Any:
        loss, of_asked, of_known = _by_chunks(asked, known, wanted, counts, bars, tf.bfloat16 if half else tf.float32)
        return loss, lambda up: (up * of_asked, up * of_known)

    return summed(asked, known)


def seen(index: Any, places: Any, items: int) -> Bars:
    """Bars against what a window has at a place or before it. index (B, T), 0 or 1 + row of known; places (P, 2) of it.

    (B, items) how many places from the end an item was first, 0: never; (P,) the window; (P,) the place from the end.
    """
    width = index.shape[1]
    windows = tf.shape(index)[0]
    where = tf.stack([tf.broadcast_to(tf.range(windows)[:, None], tf.shape(index)), index], -1)
    left = tf.broadcast_to(tf.range(width, 0, -1), tf.shape(index))
    first = tf.tensor_scatter_nd_max(tf.zeros((windows, items + 1), tf.int32), where, left)
    chosen = tf.cast(places, tf.int32)
    return tf.cast(first[:, 1:], tf.float32), chosen[:, 0], tf.cast(width - chosen[:, 1], tf.float32)


def _by_chunks(asked: Any, known: Any, wanted: Any, counts: Any, bars: Bars | None, kind: Any) -> tuple[Any, Any, Any]:
    """The loss, and its slopes by asked and by known."""
    width, rows = asked.shape[1], known.shape[0]
    size = max(1, _SCORES // rows)
    chunks = (tf.shape(asked)[0] + size - 1) // size
    items = tf.cast(known, kind)
    turned = tf.transpose(items)
    query, row, weight = (_cut(values, chunks, size) for values in (tf.cast(asked, kind), wanted, counts))
    owner, age = (_cut(values, chunks, size) for values in bars[1:]) if bars else (row, row)

    def chunk(at: Any, loss: Any, of_turned: Any, of_query: Any) -> tuple[Any, Any, Any, Any]:
        score = tf.cast(tf.matmul(query[at], turned), tf.float32)
        if bars:
            score = tf.where(tf.gather(bars[0], owner[at]) >= age[at][:, None], _BARRED, score)
        own = tf.gather(score, row[at], batch_dims=1)
        top = tf.reduce_max(score, -1, keepdims=True)
        share = tf.exp(score - top)
        whole = tf.reduce_sum(share, -1, keepdims=True)
        loss += tf.reduce_sum(weight[at] * (tf.math.log(whole[:, 0]) + top[:, 0] - own))
        slope = tf.cast(share * (weight[at][:, None] / whole), kind)
        of_turned += tf.cast(tf.matmul(query[at], slope, transpose_a=True), tf.float32)
        return at + 1, loss, of_turned, of_query.write(at, tf.cast(tf.matmul(slope, items), tf.float32))

    empty = tf.TensorArray(tf.float32, chunks, element_shape=(size, width))
    start = (0, tf.constant(0.0), tf.zeros((width, rows)), empty)
    _, loss, of_turned, of_query = tf.while_loop(lambda at, *_: at < chunks, chunk, start, parallel_iterations=1)
    of_asked = tf.reshape(of_query.stack(), (-1, width))[: tf.shape(asked)[0]]
    of_asked -= counts[:, None] * tf.gather(known, wanted)
    of_known = tf.transpose(of_turned) - tf.math.unsorted_segment_sum(counts[:, None] * asked, wanted, rows)
    return loss, of_asked, of_known


def _cut(values: Any, chunks: Any, size: int) -> Any:
    """(chunks, size, ...), with zeros at the end."""
    spare = chunks * size - tf.shape(values)[0]
    padded = tf.pad(values, [[0, spare]] + [[0, 0]] * (values.shape.rank - 1))
    return tf.reshape(padded, (chunks, size, *values.shape[1:]))
