//! The checkpoint layouts' tensor names within a transformer block.

/// How a layout stores the query, key and value projections of a block.
#[derive(Clone, Copy, Debug)]
pub(super) enum Projections {
    /// Three linear layers: query, key, value.
    Separate([&'static str; 3]),
    /// One linear layer of three times the width, queries first: the names of its weight and its bias.
    Fused(&'static str, &'static str),
}

/// Whether the layer norm comes before or after its sub-block `f` (attention, MLP).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NormOrder {
    /// `x + f(norm(x))`, as ViT and CLIP.
    PreNorm,
    /// `norm(x + f(x))`, as BERT.
    PostNorm,
}

/// One layout's names, each relative to the tower's or the block's prefix.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockNames {
    /// The list of blocks, below the tower's prefix.
    pub(super) blocks: &'static str,
    pub(super) norm_order: NormOrder,
    pub(super) norm1: &'static str,
    pub(super) projections: Projections,
    /// The projection after attention.
    pub(super) out: &'static str,
    pub(super) norm2: &'static str,
    /// The two layers of the MLP.
    pub(super) up: &'static str,
    pub(super) down: &'static str,
}

impl BlockNames {
    /// `CLIPModel` and `SiglipModel` of Hugging Face.
    pub(super) const HUGGING_FACE: Self = Self {
        blocks: "layers",
        norm_order: NormOrder::PreNorm,
        norm1: "layer_norm1",
        projections: Projections::Separate([
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
        norm_order: NormOrder::PreNorm,
        norm1: "ln_1",
        projections: Projections::Fused("attn.in_proj_weight", "attn.in_proj_bias"),
        out: "attn.out_proj",
        norm2: "ln_2",
        up: "mlp.c_fc",
        down: "mlp.c_proj",
    };
    /// timm's `VisionTransformer`.
    pub(super) const TIMM: Self = Self {
        blocks: "blocks",
        norm_order: NormOrder::PreNorm,
        norm1: "norm1",
        projections: Projections::Fused("attn.qkv.weight", "attn.qkv.bias"),
        out: "attn.proj",
        norm2: "norm2",
        up: "mlp.fc1",
        down: "mlp.fc2",
    };
    /// `BertModel` of Hugging Face.
    pub(super) const BERT: Self = Self {
        blocks: "layer",
        norm_order: NormOrder::PostNorm,
        norm1: "attention.output.LayerNorm",
        projections: Projections::Separate([
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
