"""From a trained model to the two files that the daemon takes: the ONNX graph and its manifest.

The trees are written from XGBoost's own JSON, so thresholds are the very float32 that XGBoost compares with.
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

CONTRACT = 1
GOLDEN_TOLERANCE = 1e-3


def trees_to_onnx(booster, metadata, delta_of=None):
    """The graph of a booster with squared error; `delta_of` is the column that the trees' sum is added to."""
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    objective = learner["objective"]["name"]
    if objective != "reg:squarederror":
        raise ValueError(f"the objective {objective} puts the sum of the trees through something")
    base = learner["learner_model_param"]["base_score"]
    base = json.loads(base) if base.startswith("[") else [float(base)]
    lists = {name: [] for name in NODE_LISTS + LEAF_LISTS}
    for tree_id, tree in enumerate(learner["gradient_booster"]["model"]["trees"]):
        append_tree(lists, tree_id, tree)
    columns = booster.num_features()
    trees = helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        ["trees" if delta_of is not None else "forecast"],
        name="trees",
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="SUM",
        post_transform="NONE",
        base_values=[float(np.float32(base[0]))],
        **lists,
    )
    nodes, constants = [trees], []
    if delta_of is not None:
        constants = [
            helper.make_tensor("from", TensorProto.INT64, [1], [delta_of]),
            helper.make_tensor("to", TensorProto.INT64, [1], [delta_of + 1]),
            helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        ]
        nodes.append(helper.make_node("Slice", ["features", "from", "to", "axis"], ["last"], name="last"))
        nodes.append(helper.make_node("Add", ["trees", "last"], ["forecast"], name="forecast"))
    graph = helper.make_graph(
        nodes,
        "forecast",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", columns])],
        [helper.make_tensor_value_info("forecast", TensorProto.FLOAT, ["N", 1])],
        constants,
    )
    model = helper.make_model(
        graph,
        producer_name="pumphouse",
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)],
    )
    helper.set_model_props(model, {key: as_text(value) for key, value in metadata.items()})
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


NODE_LISTS = [
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_modes",
    "nodes_values",
    "nodes_hitrates",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "nodes_missing_value_tracks_true",
]
LEAF_LISTS = ["target_ids", "target_nodeids", "target_treeids", "target_weights"]


def append_tree(lists, tree_id, tree):
    """Adds XGBoost's own lists of a tree to ONNX's."""
    columns = zip(
        tree["left_children"],
        tree["right_children"],
        tree["split_indices"],
        tree["split_conditions"],
        tree["default_left"],
        tree["sum_hessian"],
        strict=True,
    )
    for node_id, (left, right, feature, value, default_left, cover) in enumerate(columns):
        is_leaf = left == -1
        entry = [
            tree_id,
            node_id,
            0 if is_leaf else feature,
            "LEAF" if is_leaf else "BRANCH_LT",
            0.0 if is_leaf else value,
            cover,
            0 if is_leaf else left,
            0 if is_leaf else right,
            0 if is_leaf else int(default_left),
        ]
        for name, item in zip(NODE_LISTS, entry, strict=True):
            lists[name].append(item)
        if is_leaf:
            for name, item in zip(LEAF_LISTS, [0, node_id, tree_id, value], strict=True):
                lists[name].append(item)


def as_text(value):
    """ONNX's metadata are strings."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def manifest_of(graph, about, inputs, golden, importance):
    """What the model says of itself. `golden` is a list of (inputs, output) arrays."""
    return {
        **about,
        "contract": CONTRACT,
        "bytes": len(graph),
        "sha256": hashlib.sha256(graph).hexdigest(),
        "inputs": [{"name": name, "shape": shape} for name, shape in inputs],
        "golden": [
            {
                "inputs": [plain(values) for values in given],
                "shapes": [list(values.shape) for values in given],
                "output": plain(output),
            }
            for given, output in golden
        ],
        "golden_tolerance": GOLDEN_TOLERANCE,
        "importance": importance,
    }


def plain(values):
    """Numbers for JSON, row by row; an unknown one is null."""
    return [None if np.isnan(value) else float(value) for value in np.asarray(values, np.float32).ravel()]


def write(folder, graph, manifest):
    """Writes both files so that nobody ever sees a manifest without its whole model."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    replace(folder / manifest["file"], graph)
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    replace(folder / (Path(manifest["file"]).stem + ".json"), text.encode())


def replace(path, content):
    """Writes a file beside its place, and then puts it there at once."""
    new = path.with_name(path.name + ".new")
    with open(new, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
