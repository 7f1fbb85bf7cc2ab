"""The models alone in onnxruntime, one thread: onnx.py FOLDER MODEL…; prints the sum of the medians, ms."""

import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

ROUNDS = 200

folder, *models = map(Path, sys.argv[1:])
total = 0.0
for model in models:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    width = session.get_inputs()[0].shape[1]
    rows = np.fromfile(folder / f"{model.stem}.f32", "<f4").reshape(-1, width)
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        session.run(None, {"features": rows})
        times.append(time.perf_counter() - began)
    total += sorted(times)[ROUNDS // 2] * 1e3
print(total)
