//! ONNX's `TreeEnsembleRegressor` for tract, which has none of its own. What a file says is checked in [`Forest::new`].

use std::sync::Arc;

use tract_onnx::{model::ParsingContext, pb::NodeProto, tract_hir::internal::*};

use super::trees::{Forest, Lists};

/// The operator's name.
pub const NAME: &str = "TreeEnsembleRegressor";

/// Reads the operator from a model file. Only what an XGBoost regression needs is taken: one target, sums, no transform.
pub fn parse(
    _context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let forest = forest(node)?;
    Ok((expand(Ensemble(Arc::new(forest))), vec![]))
}

/// The trees in a model that is ready to run, if it has some.
pub fn forest_of(model: &TypedModel) -> Option<Arc<Forest>> {
    let mut wired = model
        .nodes()
        .iter()
        .filter_map(|node| node.op_as::<Wired>());
    wired.next().map(|wired| wired.0.clone())
}

/// The trees of a node of a model file.
fn forest(node: &NodeProto) -> TractResult<Forest> {
    let known = [
        "n_targets",
        "aggregate_function",
        "post_transform",
        "base_values",
        "nodes_treeids",
        "nodes_nodeids",
        "nodes_featureids",
        "nodes_modes",
        "nodes_values",
        "nodes_hitrates",
        "nodes_truenodeids",
        "nodes_falsenodeids",
        "nodes_missing_value_tracks_true",
        "target_ids",
        "target_nodeids",
        "target_treeids",
        "target_weights",
    ];
    if let Some(other) = node
        .attribute
        .iter()
        .find(|attribute| !known.contains(&attribute.name.as_str()))
    {
        bail!("{NAME} with {}", other.name);
    }
    let text = |name, usual| -> TractResult<()> {
        let value: Option<&str> = node.get_attr_opt(name)?;
        ensure!(
            value.is_none_or(|value| value == usual),
            "{NAME} with {name} {value:?}"
        );
        Ok(())
    };
    text("aggregate_function", "SUM")?;
    text("post_transform", "NONE")?;
    let targets: i64 = node.get_attr_opt("n_targets")?.unwrap_or(1);
    ensure!(targets == 1, "{NAME} with {targets} targets");
    let ids: Vec<i64> = node.get_attr_vec("target_ids")?;
    ensure!(
        ids.iter().all(|&id| id == 0),
        "{NAME} with a target beyond the first"
    );
    let base: Vec<f32> = node.get_attr_opt_vec("base_values")?.unwrap_or_default();
    ensure!(base.len() <= 1, "{NAME} with {} base values", base.len());
    let modes: Vec<&str> = node.get_attr_vec("nodes_modes")?;
    let is_branch = modes.iter().map(|&mode| match mode {
        "BRANCH_LT" => Ok(true),
        "LEAF" => Ok(false),
        other => bail!("{NAME} with {other}"),
    });
    let is_branch = is_branch.collect::<TractResult<Vec<_>>>()?;
    let unknown: Option<Vec<i64>> = node.get_attr_opt_vec("nodes_missing_value_tracks_true")?;
    let unknown_is_yes = match unknown {
        Some(flags) => flags.iter().map(|&flag| flag != 0).collect(),
        None => vec![false; is_branch.len()],
    };
    let leaf_tree: Vec<i64> = node.get_attr_vec("target_treeids")?;
    ensure!(
        ids.len() == leaf_tree.len(),
        "{NAME} with target lists of different lengths"
    );
    let lists = Lists {
        tree: node.get_attr_vec("nodes_treeids")?,
        node: node.get_attr_vec("nodes_nodeids")?,
        feature: node.get_attr_vec("nodes_featureids")?,
        is_branch,
        threshold: node.get_attr_vec("nodes_values")?,
        yes: node.get_attr_vec("nodes_truenodeids")?,
        no: node.get_attr_vec("nodes_falsenodeids")?,
        unknown_is_yes,
        cover: node.get_attr_opt_vec("nodes_hitrates")?.unwrap_or_default(),
        leaf_tree,
        leaf_node: node.get_attr_vec("target_nodeids")?,
        leaf_value: node.get_attr_vec("target_weights")?,
        base: base.first().copied().unwrap_or(0.0),
    };
    Ok(Forest::new(&lists)?)
}

/// While shapes are being worked out.
#[derive(Clone, Debug)]
struct Ensemble(Arc<Forest>);

impl Expansion for Ensemble {
    fn name(&self) -> StaticName {
        NAME.into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        solver.equals(&inputs[0].datum_type, f32::datum_type())?;
        solver.equals(&inputs[0].rank, 2)?;
        solver.equals(&outputs[0].datum_type, f32::datum_type())?;
        solver.equals(&outputs[0].rank, 2)?;
        solver.equals(&outputs[0].shape[0], &inputs[0].shape[0])?;
        solver.equals(&outputs[0].shape[1], 1.to_dim())?;
        Ok(())
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, Wired(self.0.clone()), inputs)
    }
}

/// Ready to run.
#[derive(Clone, Debug)]
struct Wired(Arc<Forest>);

impl PartialEq for Wired {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Wired {}

impl Op for Wired {
    fn name(&self) -> StaticName {
        NAME.into()
    }

    op_as_typed_op!();
}

impl EvalOp for Wired {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let rows = input.to_plain_array_view::<f32>()?;
        let rows = rows.into_dimensionality::<tract_ndarray::Ix2>()?;
        let rows = rows.as_standard_layout();
        let values = rows.outer_iter().map(|row| {
            let row = row.as_slice().expect("in standard layout a row is a slice");
            self.0.predict(row)
        });
        let values = values.collect::<Result<Vec<f32>, _>>()?;
        let output = tract_ndarray::Array2::from_shape_vec((values.len(), 1), values)?;
        Ok(tvec!(output.into_tvalue()))
    }
}

impl TypedOp for Wired {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let rows = inputs[0].shape[0].clone();
        Ok(tvec!(f32::fact([rows, 1.to_dim()])))
    }

    as_op!();
}
