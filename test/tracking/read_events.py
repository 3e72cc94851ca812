"""Prints what TensorBoard's own reader finds in an event file: a JSON list of [step, wall time, {tag: value}]."""

import json
import sys

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util import tensor_util

rows = []
for event in EventFileLoader(sys.argv[1]).Load():
    values = {value.tag: float(tensor_util.make_ndarray(value.tensor)) for value in event.summary.value}
    rows.append([event.step, event.wall_time, values])
print(json.dumps(rows))
