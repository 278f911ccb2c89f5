# SPDX-License-Identifier: Apache-2.0
# This file travels with exported weights, so it is free for any use under Apache-2.0, unlike the program that writes it.
"""Language models with linears stored as low-rank factors, for transformers 4.45 and later.

The stock classes build the model; the linears that config.json lists under "rankwright" are then swapped:
{"linears": {name: {"structure": ..., "rank": ..., "bias": ..., "latentOf": ..., "sparse": ...}}}, `bias` where that is not as
in the stock classes, `latentOf` the name of the linear whose A x this one reads, `sparse` how many single weights stand beside the
factors. For each architecture of ARCHITECTURES that the installed
transformers knows there are Rankwright...Config, Rankwright...Model and Rankwright...ForCausalLM, subclasses of the stock ones.
"""

import torch
import transformers
from torch import nn
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.pytorch_utils import Conv1D

# model_type: (begin of the stock names, stock class with a head, what names of linears have before the path in the base model)
ARCHITECTURES = {
    "llama": ("Llama", "LlamaForCausalLM", "model."),
    "mistral": ("Mistral", "MistralForCausalLM", "model."),
    "qwen2": ("Qwen2", "Qwen2ForCausalLM", "model."),
    "qwen3": ("Qwen3", "Qwen3ForCausalLM", "model."),
    "opt": ("OPT", "OPTForCausalLM", "model."),
    "gpt2": ("GPT2", "GPT2LMHeadModel", "transformer."),
}
ROTARY = ("llama", "mistral", "qwen2", "qwen3")


class FactoredLinear(nn.Module):
    """y = B (A x) + bias, with A of rank x in_features and B of out_features x rank."""

    def __init__(self, in_features, out_features, rank, bias, device=None, dtype=None):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.rank = rank
        self.A = nn.Linear(in_features, rank, bias=False, device=device, dtype=dtype)
        self.B = nn.Linear(rank, out_features, bias=bias, device=device, dtype=dtype)

    def latents(self, x):
        return self.A(x)

    def forward(self, x):
        return self.B(self.latents(x))


class BlockIdentityLinear(nn.Module):
    """y = B (x[pivots] + A2 x[rest]) + bias: of the rank x in_features factor, the columns `pivots` are an identity.

    `pivots` ascend; `rest` are the other columns, ascending. Only `pivots` are stored: transformers 5 builds models on the meta
    device and fills buffers that are not stored with anything, so `rest` is worked out at the first call.
    """

    def __init__(self, in_features, out_features, rank, bias, device=None, dtype=None):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.rank = rank
        self.A2 = nn.Linear(in_features - rank, rank, bias=False, device=device, dtype=dtype)
        self.B = nn.Linear(rank, out_features, bias=bias, device=device, dtype=dtype)
        self.register_buffer("pivots", torch.arange(rank, dtype=torch.int32, device=device))
        self._rest = None

    def _load_from_state_dict(self, *args, **kwargs):
        self._rest = None
        super()._load_from_state_dict(*args, **kwargs)

    def rest(self):
        if self._rest is None or self._rest.device != self.pivots.device:
            # Kept for calls with gradients as well, which cannot use tensors made in inference mode.
            with torch.inference_mode(False), torch.no_grad():
                chosen = torch.zeros(self.in_features, dtype=torch.int32, device=self.pivots.device)
                chosen = chosen.index_fill(0, self.pivots.long(), 1)
                self._rest = torch.sort(chosen, stable=True).indices[: self.in_features - self.rank].clone()
        return self._rest

    def latents(self, x):
        return x.index_select(-1, self.pivots) + self.A2(x.index_select(-1, self.rest()))

    def forward(self, x):
        return self.B(self.latents(x))


class SparseWeights(nn.Module):
    """y = S x with a sparse S of out_features x in_features: `values` row by row, `columns` of them, `counts` per row.

    Columns and counts are uint8, int16 or int32, the smallest that holds in_features. S is laid out dense for each call: sparse
    products of PyTorch know neither all types nor all devices.
    """

    def __init__(self, in_features, out_features, entries, device=None, dtype=None):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        index = torch.uint8 if in_features < 256 else torch.int16 if in_features < 32768 else torch.int32
        self.values = nn.Parameter(torch.zeros(entries, device=device, dtype=dtype))
        self.register_buffer("columns", torch.zeros(entries, dtype=index, device=device))
        self.register_buffer("counts", torch.zeros(out_features, dtype=index, device=device))

    def forward(self, x):
        rows = torch.arange(self.out_features, device=self.counts.device).repeat_interleave(self.counts.long())
        weight = self.values.new_zeros(self.out_features, self.in_features)
        return nn.functional.linear(x, weight.index_put((rows, self.columns.long()), self.values))


class SparseBeside:
    """What a linear in factors adds that has an S: y = B A x + bias + S x."""

    def __init__(self, in_features, out_features, rank, bias, device=None, dtype=None, entries=0):
        super().__init__(in_features, out_features, rank, bias, device=device, dtype=dtype)
        self.S = SparseWeights(in_features, out_features, entries, device=device, dtype=dtype)

    def forward(self, x):
        return super().forward(x) + self.S(x)


class SparseFactoredLinear(SparseBeside, FactoredLinear):
    pass


class SparseBlockIdentityLinear(SparseBeside, BlockIdentityLinear):
    pass


class LatentOwner:
    """What the linear adds whose latents others read: they are computed once per input.

    They are kept until the last reader has taken them, for the very tensor that they were computed of; any other input, or a
    reader that comes first, makes the readers compute their own.
    """

    def keep_for(self, readers):
        self.readers = readers

    def forward(self, x):
        z = self.latents(x)
        self.__dict__["kept"] = (x, z, self.readers)
        return self.B(z)

    def take(self, x):
        known, z, readers = self.__dict__.pop("kept", (None, None, 0))
        if known is not x:
            return self.latents(x)
        if readers > 1:
            self.__dict__["kept"] = (x, z, readers - 1)
        return z


class OwningFactoredLinear(LatentOwner, FactoredLinear):
    pass


class OwningBlockIdentityLinear(LatentOwner, BlockIdentityLinear):
    pass


class SharedLatentLinear(nn.Module):
    """y = B z + bias with the latents z = A x of another linear, `owner`, which is no submodule of this one."""

    def __init__(self, in_features, out_features, rank, bias, device=None, dtype=None):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.rank = rank
        self.B = nn.Linear(rank, out_features, bias=bias, device=device, dtype=dtype)
        self.__dict__["owner"] = None

    def forward(self, x):
        return self.B(self.owner.take(x))


class SplitLinear(nn.Module):
    """A linear whose output is queries, keys and values, as three linears."""

    def __init__(self, in_features, out_features, bias, device=None, dtype=None):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(in_features, out_features // 3, bias=bias, device=device, dtype=dtype) for _ in range(3))

    def forward(self, x):
        return torch.cat((self.q(x), self.k(x), self.v(x)), dim=-1)


STRUCTURES = {"factors": FactoredLinear, "block-identity": BlockIdentityLinear, "shared-latent": SharedLatentLinear}
SPARSE = {"factors": SparseFactoredLinear, "block-identity": SparseBlockIdentityLinear}
OWNERS = {"factors": OwningFactoredLinear, "block-identity": OwningBlockIdentityLinear}


def arguments_of(linear):
    """Sizes, bias, device and dtype of a stock linear; Conv1D, that of GPT-2, keeps its weight transposed."""
    columns, rows = linear.weight.shape if isinstance(linear, Conv1D) else linear.weight.shape[::-1]
    bias = linear.bias is not None
    return (columns, rows), {"bias": bias, "device": linear.weight.device, "dtype": linear.weight.dtype}


def make_linear(entry, linear, structures):
    """The linear that an entry of the table asks for in place of a stock one."""
    sizes, options = arguments_of(linear)
    options["bias"] = entry.get("bias", options["bias"])
    if entry["structure"] == "dense":
        return nn.Linear(*sizes, **options)
    if "sparse" in entry:
        return SPARSE[entry["structure"]](*sizes, entry["rank"], entries=entry["sparse"], **options)
    return structures[entry["structure"]](*sizes, entry["rank"], **options)


def child_of(model, path):
    """The module that holds the last part of `path`, and that part; a fused linear on the way is split."""
    path, _, leaf = path.rpartition(".")
    owner = model.get_submodule(path)
    if isinstance(owner, Conv1D):
        parent, name = child_of(model, path)
        sizes, options = arguments_of(owner)
        owner = SplitLinear(*sizes, **options)
        setattr(parent, name, owner)
    return owner, leaf


def swap_linears(model, prefix):
    """Replaces the linears of the table; `prefix` is what their names have before the path inside `model`."""
    table = (getattr(model.config, "rankwright", None) or {}).get("linears", {})
    readers = {}
    for name, entry in table.items():
        if "latentOf" in entry:
            readers.setdefault(entry["latentOf"], []).append(name)
    for name, entry in table.items():
        if not name.startswith(prefix):
            raise ValueError(f"{name}: no linear of this model")
        if entry["structure"] not in ("dense", *STRUCTURES):
            raise ValueError(f"{name}: structure {entry['structure']!r} is not known to this file; known are {list(STRUCTURES)}")
        owner, leaf = child_of(model, name[len(prefix) :])
        setattr(owner, leaf, make_linear(entry, getattr(owner, leaf), OWNERS if name in readers else STRUCTURES))
    for name, names in readers.items():
        owner = model.get_submodule(name[len(prefix) :])
        owner.keep_for(len(names))
        for reader in names:
            model.get_submodule(reader[len(prefix) :]).__dict__["owner"] = owner


def scale_rotary(model):
    """Scales the frequencies of rotary embeddings that take no notice of rope_scaling: Mistral's before transformers 4.48."""
    for module in model.modules():
        if not hasattr(module, "inv_freq") or hasattr(module, "rope_type"):
            continue
        kind = (getattr(model.config, "rope_scaling", None) or {}).get("rope_type", "default")
        if kind not in ("default", "linear", "llama3"):
            raise ValueError(
                f"{type(module).__name__} of transformers {transformers.__version__} takes no notice of the rotary scaling {kind!r}; "
                "install transformers 4.48 or later"
            )
        if kind != "default":
            module.inv_freq, _ = ROPE_INIT_FUNCTIONS[kind](model.config, module.inv_freq.device)


class FactoredModel:
    """What the classes of an architecture add to the stock ones."""

    rankwright_prefix = ""

    def __init__(self, config, *args, **kwargs):
        super().__init__(config, *args, **kwargs)
        swap_linears(self, self.rankwright_prefix)
        scale_rotary(self)


class RotaryConfig:
    """transformers 5 saves rope_parameters alone, transformers 4 reads rope_theta and rope_scaling."""

    def __init__(self, rope_parameters=None, **kwargs):
        rope = dict(rope_parameters or {})
        if "rope_theta" in rope:
            kwargs.setdefault("rope_theta", rope.pop("rope_theta"))
        if rope.get("rope_type", "default") != "default" and kwargs.get("rope_scaling") is None:
            kwargs["rope_scaling"] = rope
        super().__init__(**kwargs)
        self.rope_parameters = rope_parameters


def define_classes(architecture):
    stem, causal, prefix = ARCHITECTURES[architecture]
    stock = [getattr(transformers, name, None) for name in (f"{stem}Config", f"{stem}Model", causal)]
    if None in stock:
        return
    # A configuration of its own type, so that registering the classes below leaves every other model of this architecture alone.
    # The stock plans of parallel runs split linears that no longer exist.
    mixed = (RotaryConfig,) if architecture in ROTARY and int(transformers.__version__.split(".")[0]) < 5 else ()
    config = type(f"Rankwright{stem}Config", (*mixed, stock[0]),
                  {"model_type": f"rankwright_{architecture}", "base_model_tp_plan": None})
    base = type(f"Rankwright{stem}Model", (FactoredModel, stock[1]), {"config_class": config, "rankwright_prefix": prefix})
    model = type(f"Rankwright{causal}", (FactoredModel, stock[2]), {"config_class": config})
    # save_pretrained then puts this file beside the weights.
    config.register_for_auto_class()
    base.register_for_auto_class("AutoModel")
    model.register_for_auto_class("AutoModelForCausalLM")
    globals().update({made.__name__: made for made in (config, base, model)})


for architecture in ARCHITECTURES:
    define_classes(architecture)
