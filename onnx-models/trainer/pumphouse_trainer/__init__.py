"""Trains the forecast models of pumphouse and hands them over as ONNX files with a manifest."""
