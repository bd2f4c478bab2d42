//! What the layouts call the parts of a transformer's block.

/// Where the query, key and value projections of a block lie.
#[derive(Clone, Copy, Debug)]
pub(super) enum Projections {
    /// Three layers.
    Apart([&'static str; 3]),
    /// One, queries first: the names of weight and bias.
    Joined(&'static str, &'static str),
}

/// Which side of a sub-block the norm stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// `x + f(norm(x))`, as ViT and CLIP.
    Before,
    /// `norm(x + f(x))`, as BERT.
    After,
}

/// What a layout calls the parts of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub(super) blocks: &'static str,
    pub(super) order: Order,
    pub(super) norm1: &'static str,
    pub(super) projections: Projections,
    pub(super) out: &'static str,
    pub(super) norm2: &'static str,
    pub(super) up: &'static str,
    pub(super) down: &'static str,
}

impl Names {
    /// `CLIPModel` and `SiglipModel` of Hugging Face.
    pub(super) const HUGGING_FACE: Self = Self {
        blocks: "layers",
        order: Order::Before,
        norm1: "layer_norm1",
        projections: Projections::Apart([
            "self_attn.q_proj",
            "self_attn.k_proj",
            "self_attn.v_proj",
        ]),
        out: "self_attn.out_proj",
        norm2: "layer_norm2",
        up: "mlp.fc1",
        down: "mlp.fc2",
    };
    /// OpenAI's own files and open_clip.
    pub(super) const OPEN_CLIP: Self = Self {
        blocks: "resblocks",
        order: Order::Before,
        norm1: "ln_1",
        projections: Projections::Joined("attn.in_proj_weight", "attn.in_proj_bias"),
        out: "attn.out_proj",
        norm2: "ln_2",
        up: "mlp.c_fc",
        down: "mlp.c_proj",
    };
    /// timm's `VisionTransformer`.
    pub(super) const TIMM: Self = Self {
        blocks: "blocks",
        order: Order::Before,
        norm1: "norm1",
        projections: Projections::Joined("attn.qkv.weight", "attn.qkv.bias"),
        out: "attn.proj",
        norm2: "norm2",
        up: "mlp.fc1",
        down: "mlp.fc2",
    };
    /// `BertModel` of Hugging Face.
    pub(super) const BERT: Self = Self {
        blocks: "layer",
        order: Order::After,
        norm1: "attention.output.LayerNorm",
        projections: Projections::Apart([
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
        ]),
        out: "attention.output.dense",
        norm2: "output.LayerNorm",
        up: "intermediate.dense",
        down: "output.dense",
    };
}
