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


def trees(booster, delta_of=None):
    """The graph of a booster with squared error; `delta_of` is the column that the trees' sum is added to."""
    nodes, constants = tree_nodes(booster, delta_of, 1.0)
    return model(
        nodes,
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", booster.num_features()])],
        ["N", 1],
        constants,
    )


def tree_nodes(booster, delta_of, weight):
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    objective = learner["objective"]["name"]
    if objective != "reg:squarederror":
        raise ValueError(f"the objective {objective} puts the sum of the trees through something")
    base = learner["learner_model_param"]["base_score"]
    base = json.loads(base) if base.startswith("[") else [float(base)]
    lists = {name: [] for name in NODE_LISTS + LEAF_LISTS}
    for tree_id, tree in enumerate(learner["gradient_booster"]["model"]["trees"]):
        append_tree(lists, tree_id, tree)
    lists["target_weights"] = [float(np.float32(leaf * weight)) for leaf in lists["target_weights"]]
    nodes = [
        helper.make_node(
            "TreeEnsembleRegressor",
            ["features"],
            ["forecast" if delta_of is None else "trees"],
            name="trees",
            domain="ai.onnx.ml",
            n_targets=1,
            aggregate_function="SUM",
            post_transform="NONE",
            base_values=[float(np.float32(base[0] * weight))],
            **lists,
        )
    ]
    if delta_of is None:
        return nodes, []
    constants = [
        helper.make_tensor("from", TensorProto.INT64, [1], [delta_of]),
        helper.make_tensor("to", TensorProto.INT64, [1], [delta_of + 1]),
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
    ]
    nodes.append(helper.make_node("Slice", ["features", "from", "to", "axis"], ["last"], name="last"))
    last = "last"
    if weight != 1.0:
        constants.append(matrix("weight", np.array([[weight]])))
        nodes.append(helper.make_node("MatMul", ["last", "weight"], ["weighed"], name="weighed"))
        last = "weighed"
    nodes.append(helper.make_node("Add", ["trees", last], ["forecast"], name="forecast"))
    return nodes, constants


def affine(map):
    """The graph of an affine map of a window and of columns that are known ahead."""
    nodes, inputs, constants = affine_nodes(map, 1.0)
    return model(nodes, inputs, [1, len(map.offset)], constants)


def affine_nodes(map, weight):
    window, columns, ahead, steps = map.window_map.shape[1], len(map.beta), map.ahead_map.shape[1], len(map.offset)
    node = helper.make_node
    nodes = [
        node("MatMul", ["exog_hist", "beta"], ["explained_rows"], name="explained_rows"),
        node("Reshape", ["explained_rows", "window"], ["explained"], name="explained"),
        node("Sub", ["y_hist", "mean"], ["centred"], name="centred"),
        node("Sub", ["centred", "explained"], ["left"], name="left"),
        node("MatMul", ["left", "window_map"], ["from_window"], name="from_window"),
        node("MatMul", ["explained", "exog_map"], ["from_explained"], name="from_explained"),
        node("MatMul", ["exog_future", "beta"], ["ahead_rows"], name="ahead_rows"),
        node("Reshape", ["ahead_rows", "ahead"], ["explained_ahead"], name="explained_ahead"),
        node("MatMul", ["explained_ahead", "ahead_map"], ["from_ahead"], name="from_ahead"),
        node("Add", ["from_window", "from_explained"], ["from_past"], name="from_past"),
        node("Add", ["from_past", "from_ahead"], ["moved"], name="moved"),
        node("Add", ["moved", "offset"], ["forecast"], name="forecast"),
    ]
    constants = [
        matrix("beta", map.beta[:, None]),
        matrix("mean", np.array([[map.mean]])),
        matrix("window_map", map.window_map.T * weight),
        matrix("exog_map", map.exog_map.T * weight),
        matrix("ahead_map", map.ahead_map.T * weight),
        matrix("offset", map.offset[None, :] * weight),
        helper.make_tensor("window", TensorProto.INT64, [2], [1, window]),
        helper.make_tensor("ahead", TensorProto.INT64, [2], [1, ahead]),
    ]
    given = {"y_hist": [1, window], "exog_hist": [1, window, columns], "exog_future": [1, ahead, columns]}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in given.items()]
    return nodes, inputs, constants


def combined(booster, delta_of, map, weight):
    """One graph of both: the trees weighed by `weight`, the affine map by the rest."""
    steps = len(map.offset)
    tree, tree_constants = tree_nodes(booster, delta_of, weight)
    line, inputs, line_constants = affine_nodes(map, 1.0 - weight)
    for nodes, name in [(tree, "by_trees"), (line, "by_line")]:
        nodes[-1].output[0] = nodes[-1].name = name
    joined = [
        helper.make_node("Reshape", ["by_trees", "steps"], ["by_trees_row"], name="by_trees_row"),
        helper.make_node("Add", ["by_trees_row", "by_line"], ["forecast"], name="forecast"),
    ]
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [steps, booster.num_features()])
    constants = tree_constants + line_constants + [helper.make_tensor("steps", TensorProto.INT64, [2], [1, steps])]
    return model(tree + line + joined, [features] + inputs, [1, steps], constants)


def matrix(name, values):
    return helper.make_tensor(name, TensorProto.FLOAT, values.shape, np.asarray(values, np.float32).ravel())


def model(nodes, inputs, output, constants):
    graph = helper.make_graph(
        nodes, "forecast", inputs, [helper.make_tensor_value_info("forecast", TensorProto.FLOAT, output)], constants
    )
    return helper.make_model(
        graph,
        producer_name="pumphouse",
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)],
    )


def finished(model, metadata):
    """The bytes of a model that knows what it is."""
    helper.set_model_props(model, {key: as_text(rounded(value)) for key, value in metadata.items()})
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def inputs_of(model):
    """Names and shapes of a model's inputs; -1 is any number of rows."""
    return [
        (wanted.name, [size.dim_value if size.HasField("dim_value") else -1 for size in wanted.type.tensor_type.shape.dim])
        for wanted in model.graph.input
    ]


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


def rounded(value):
    """Figures to seven digits: the last bits of a sum depend on the machine, and nobody needs them."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, (list, tuple)) else value


def manifest_of(graph, about, inputs, golden, importance):
    """What the model says of itself. `golden` is a list of (inputs, output) arrays."""
    return {
        **rounded(about),
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
        "importance": rounded(importance),
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
