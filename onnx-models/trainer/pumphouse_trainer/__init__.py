"""Trains the forecast models of pumphouse and hands them over as ONNX files with a manifest."""

import os

# More threads wait for each other longer than they work, and a sum's last bits would depend on them.
for library in ("OMP", "OPENBLAS"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
