//! A sum of regression trees: checked once, then predicted from and explained. Pure.
//!
//! *Invariants.* After [`Forest::new`] every child of a branch lies behind it, so a walk from a root ends; no index leads
//! outside. A row that is too short is an error, not a panic.

use thiserror::Error;

/// Most nodes of a forest.
const NODES_MAX: usize = 1 << 20;
/// Deepest tree: what explaining a forecast may cost grows with its square.
const DEPTH_MAX: usize = 24;

/// The trees as a model file has them: parallel lists with an entry for each node.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    /// Which tree.
    pub tree: Vec<i64>,
    /// Its number in the tree.
    pub node: Vec<i64>,
    /// Column that a branch looks at.
    pub feature: Vec<i64>,
    /// Whether it is a branch; a leaf otherwise.
    pub is_branch: Vec<bool>,
    /// A branch goes to `yes` when the column is less than this.
    pub threshold: Vec<f32>,
    /// Number of the node for less.
    pub yes: Vec<i64>,
    /// Number of the node for the others.
    pub no: Vec<i64>,
    /// Whether an unknown value (NaN) goes to `yes`.
    pub unknown_is_yes: Vec<bool>,
    /// How much of the training data came through, in any unit; empty when not known.
    pub cover: Vec<f32>,
    /// Leaves: tree, node and value.
    pub leaf_tree: Vec<i64>,
    /// The leaf's number in its tree.
    pub leaf_node: Vec<i64>,
    /// What it adds.
    pub leaf_value: Vec<f32>,
    /// What is added to the sum of the leaves.
    pub base: f32,
}

/// What is wrong with a forest.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Fault {
    /// Lists of one model that do not belong together.
    #[error("the lists of nodes have different lengths")]
    Lengths,
    /// Nothing, or too much.
    #[error("{0} nodes; 1 to {NODES_MAX} are taken")]
    Size(usize),
    /// Two nodes, or two leaf values, of one number.
    #[error("node {1} of tree {0} is there twice")]
    Twice(i64, i64),
    /// A child, or a leaf value's node, that is missing.
    #[error("tree {0} names a node {1} that it does not have")]
    Missing(i64, i64),
    /// A node that is reached from two others, or from itself.
    #[error("node {1} of tree {0} has two parents")]
    TwoParents(i64, i64),
    /// A tree without exactly one root: its nodes go round in a circle, or it is two trees.
    #[error("tree {0} has {1} roots")]
    Roots(i64, usize),
    /// Too deep.
    #[error("tree {0} is deeper than {DEPTH_MAX}")]
    Depth(i64),
    /// A value that is no number.
    #[error("tree {0}, node {1}: a threshold, value or cover that is no finite number")]
    NotFinite(i64, i64),
    /// A column that cannot be.
    #[error("tree {0}, node {1}: column {2}")]
    Feature(i64, i64, i64),
    /// A leaf value for a branch, or a leaf without one.
    #[error("tree {0}, node {1}: a leaf needs one value, and a branch has none")]
    LeafValue(i64, i64),
    /// A row with too few columns.
    #[error("a row of {0} columns; the model looks at {1}")]
    Columns(usize, usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Node {
    /// The threshold of a branch, the value of a leaf.
    value: f32,
    cover: f32,
    feature: u32,
    /// Index of the node for less; 0 marks a leaf, as no node has the first root as its child.
    yes: u32,
    no: u32,
    unknown_is_yes: bool,
}

impl Node {
    fn is_leaf(&self) -> bool {
        self.yes == 0
    }

    fn child(&self, row: &[f32]) -> u32 {
        let value = row[self.feature as usize];
        let is_yes = if value.is_nan() {
            self.unknown_is_yes
        } else {
            value < self.value
        };
        if is_yes { self.yes } else { self.no }
    }
}

/// A sum of regression trees.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    /// Tree by tree, parents before their children.
    nodes: Vec<Node>,
    roots: Vec<u32>,
    base: f32,
    columns: usize,
}

impl Forest {
    /// Checks the lists and makes trees of them.
    ///
    /// # Errors
    /// The first fault found.
    pub fn new(lists: &Lists) -> Result<Self, Fault> {
        let count = lists.node.len();
        let same = [
            lists.tree.len(),
            lists.feature.len(),
            lists.is_branch.len(),
            lists.threshold.len(),
            lists.yes.len(),
            lists.no.len(),
            lists.unknown_is_yes.len(),
        ];
        let has_cover = !lists.cover.is_empty();
        if same.iter().any(|&length| length != count)
            || (has_cover && lists.cover.len() != count)
            || lists.leaf_tree.len() != lists.leaf_node.len()
            || lists.leaf_tree.len() != lists.leaf_value.len()
        {
            return Err(Fault::Lengths);
        }
        if count == 0 || count > NODES_MAX {
            return Err(Fault::Size(count));
        }
        if !lists.base.is_finite() {
            return Err(Fault::NotFinite(-1, -1));
        }
        let mut places = std::collections::BTreeMap::new();
        for place in 0..count {
            let name = (lists.tree[place], lists.node[place]);
            if places.insert(name, place).is_some() {
                return Err(Fault::Twice(name.0, name.1));
            }
        }
        let find = |tree, node| {
            let place = places.get(&(tree, node)).copied();
            place.ok_or(Fault::Missing(tree, node))
        };
        let mut leaves = vec![None; count];
        for (place, &value) in lists.leaf_value.iter().enumerate() {
            let (tree, node) = (lists.leaf_tree[place], lists.leaf_node[place]);
            let leaf = find(tree, node)?;
            if !value.is_finite() {
                return Err(Fault::NotFinite(tree, node));
            }
            if lists.is_branch[leaf] {
                return Err(Fault::LeafValue(tree, node));
            }
            if leaves[leaf].replace(value).is_some() {
                return Err(Fault::Twice(tree, node));
            }
        }
        let mut has_parent = vec![false; count];
        let mut columns = 0;
        for place in (0..count).filter(|&place| lists.is_branch[place]) {
            let (tree, node) = (lists.tree[place], lists.node[place]);
            let feature = lists.feature[place];
            if !(0..1 << 16).contains(&feature) {
                return Err(Fault::Feature(tree, node, feature));
            }
            columns = columns.max(feature as usize + 1);
            if !lists.threshold[place].is_finite() {
                return Err(Fault::NotFinite(tree, node));
            }
            for child in [lists.yes[place], lists.no[place]] {
                if std::mem::replace(&mut has_parent[find(tree, child)?], true) {
                    return Err(Fault::TwoParents(tree, child));
                }
            }
        }
        let mut forest = Self {
            nodes: Vec::with_capacity(count),
            roots: Vec::new(),
            base: lists.base,
            columns,
        };
        let mut rest = places
            .iter()
            .map(|(&(tree, _), &place)| (tree, place))
            .peekable();
        while let Some(&(tree, _)) = rest.peek() {
            let mut roots = Vec::new();
            let mut size = 0;
            while let Some((_, place)) = rest.next_if(|&(of, _)| of == tree) {
                size += 1;
                if !has_parent[place] {
                    roots.push(place);
                }
            }
            let [root] = roots[..] else {
                return Err(Fault::Roots(tree, roots.len()));
            };
            let first = forest.nodes.len();
            forest.roots.push(first as u32);
            forest.grow(lists, &leaves, &find, root)?;
            // What no root leads to goes round in a circle of its own.
            if forest.nodes.len() - first != size {
                return Err(Fault::Roots(tree, 2));
            }
        }
        Ok(forest)
    }

    /// Adds the tree below a root, parents first.
    fn grow(
        &mut self,
        lists: &Lists,
        leaves: &[Option<f32>],
        find: &impl Fn(i64, i64) -> Result<usize, Fault>,
        root: usize,
    ) -> Result<(), Fault> {
        // Place in the lists, depth, and whose child: the parent's place here, and whether it is the one for less.
        let mut waiting = vec![(root, 0, None::<(usize, bool)>)];
        while let Some((place, depth, parent)) = waiting.pop() {
            let (tree, node) = (lists.tree[place], lists.node[place]);
            if depth > DEPTH_MAX {
                return Err(Fault::Depth(tree));
            }
            let cover = lists.cover.get(place).copied().unwrap_or(1.0);
            if !cover.is_finite() || cover < 0.0 {
                return Err(Fault::NotFinite(tree, node));
            }
            let own = self.nodes.len();
            match parent {
                Some((parent, true)) => self.nodes[parent].yes = own as u32,
                Some((parent, false)) => self.nodes[parent].no = own as u32,
                None => {}
            }
            let (is_branch, leaf) = (lists.is_branch[place], leaves[place]);
            let value = match (is_branch, leaf) {
                (true, _) => lists.threshold[place],
                (false, Some(value)) => value,
                (false, None) => return Err(Fault::LeafValue(tree, node)),
            };
            self.nodes.push(Node {
                value,
                cover,
                feature: if is_branch {
                    lists.feature[place] as u32
                } else {
                    0
                },
                yes: 0,
                no: 0,
                unknown_is_yes: lists.unknown_is_yes[place],
            });
            if is_branch {
                waiting.push((find(tree, lists.no[place])?, depth + 1, Some((own, false))));
                waiting.push((find(tree, lists.yes[place])?, depth + 1, Some((own, true))));
            }
        }
        Ok(())
    }

    /// Columns that a row must have.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Nodes of all trees.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The sum of the leaves that a row falls into. An unknown value is NaN.
    ///
    /// # Errors
    /// When the row has too few columns.
    pub fn predict(&self, row: &[f32]) -> Result<f32, Fault> {
        self.check(row)?;
        let mut sum = 0f32;
        for &root in &self.roots {
            let mut node = self.nodes[root as usize];
            while !node.is_leaf() {
                node = self.nodes[node.child(row) as usize];
            }
            sum += node.value;
        }
        Ok(sum + self.base)
    }

    fn check(&self, row: &[f32]) -> Result<(), Fault> {
        if row.len() < self.columns {
            return Err(Fault::Columns(row.len(), self.columns));
        }
        Ok(())
    }

    /// What each column of a row contributes to its prediction, and last what is expected of any row: exact Shapley values
    /// along the trees' own paths (Lundberg and others, 2018). They add up to the prediction.
    ///
    /// # Errors
    /// When the row has too few columns.
    pub fn contributions(&self, row: &[f32]) -> Result<Vec<f64>, Fault> {
        self.check(row)?;
        let mut shares = vec![0.0; row.len() + 1];
        shares[row.len()] = f64::from(self.base);
        for &root in &self.roots {
            shares[row.len()] += self.expected(root);
            self.share(row, &mut shares, root, Vec::new(), Step::ROOT);
        }
        Ok(shares)
    }

    /// The mean of a subtree's leaves over the training data.
    fn expected(&self, node: u32) -> f64 {
        let node = &self.nodes[node as usize];
        if node.is_leaf() {
            return f64::from(node.value);
        }
        let [yes, no] = [node.yes, node.no].map(|child| self.share_of(child, node));
        yes * self.expected(node.yes) + no * self.expected(node.no)
    }

    /// How much of what comes through a branch goes to its child.
    fn share_of(&self, child: u32, parent: &Node) -> f64 {
        let [yes, no] =
            [parent.yes, parent.no].map(|child| f64::from(self.nodes[child as usize].cover));
        if yes + no > 0.0 {
            f64::from(self.nodes[child as usize].cover) / (yes + no)
        } else {
            0.5
        }
    }

    fn share(&self, row: &[f32], shares: &mut [f64], at: u32, mut path: Vec<Step>, step: Step) {
        extend(&mut path, step);
        let node = &self.nodes[at as usize];
        if node.is_leaf() {
            for place in 1..path.len() {
                let weight = unwound_sum(&path, place);
                let Step {
                    feature, zero, one, ..
                } = path[place];
                shares[feature] += weight * (one - zero) * f64::from(node.value);
            }
        } else {
            let feature = node.feature as usize;
            let taken = node.child(row);
            let (mut zero, mut one) = (1.0, 1.0);
            if let Some(place) = path[1..].iter().position(|step| step.feature == feature) {
                (zero, one) = (path[place + 1].zero, path[place + 1].one);
                unwind(&mut path, place + 1);
            }
            for child in [node.yes, node.no] {
                let step = Step {
                    feature,
                    zero: zero * self.share_of(child, node),
                    one: if child == taken { one } else { 0.0 },
                    weight: 0.0,
                };
                self.share(row, shares, child, path.clone(), step);
            }
        }
    }
}

/// A column on the way from a root: the part of the paths that goes on when the column is unknown, and when it is known.
#[derive(Clone, Copy, Debug)]
struct Step {
    feature: usize,
    zero: f64,
    one: f64,
    weight: f64,
}

impl Step {
    const ROOT: Self = Self {
        feature: usize::MAX,
        zero: 1.0,
        one: 1.0,
        weight: 1.0,
    };
}

fn extend(path: &mut Vec<Step>, mut step: Step) {
    let depth = path.len();
    step.weight = if depth == 0 { 1.0 } else { 0.0 };
    path.push(step);
    let length = (depth + 1) as f64;
    for place in (0..depth).rev() {
        path[place + 1].weight += step.one * path[place].weight * (place + 1) as f64 / length;
        path[place].weight *= step.zero * (depth - place) as f64 / length;
    }
}

fn unwind(path: &mut Vec<Step>, place: usize) {
    let depth = path.len() - 1;
    let Step { zero, one, .. } = path[place];
    let length = (depth + 1) as f64;
    let mut next = path[depth].weight;
    for at in (0..depth).rev() {
        if one != 0.0 {
            let before = path[at].weight;
            path[at].weight = next * length / ((at + 1) as f64 * one);
            next = before - path[at].weight * zero * (depth - at) as f64 / length;
        } else {
            path[at].weight = path[at].weight * length / (zero * (depth - at) as f64);
        }
    }
    for at in place..depth {
        let Step {
            feature, zero, one, ..
        } = path[at + 1];
        path[at] = Step {
            feature,
            zero,
            one,
            ..path[at]
        };
    }
    path.pop();
}

fn unwound_sum(path: &[Step], place: usize) -> f64 {
    let depth = path.len() - 1;
    let Step { zero, one, .. } = path[place];
    let length = (depth + 1) as f64;
    let mut next = path[depth].weight;
    let mut sum = 0.0;
    for at in (0..depth).rev() {
        if one != 0.0 {
            let weight = next * length / ((at + 1) as f64 * one);
            sum += weight;
            next = path[at].weight - weight * zero * (depth - at) as f64 / length;
        } else if zero != 0.0 {
            sum += path[at].weight * length / (zero * (depth - at) as f64);
        }
    }
    sum
}
