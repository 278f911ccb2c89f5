# SPDX-License-Identifier: Apache-2.0
# This file travels with exported weights, so it is free for any use under Apache-2.0, unlike the program that writes it.
"""Llama with linears stored as low-rank factors, for transformers 4.45 and later.

The stock classes build the model; the linears that config.json lists under "rankwright" are then swapped for factored ones.
"""

import torch
import transformers
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel


class RankwrightLlamaConfig(LlamaConfig):
    """LlamaConfig with a `rankwright` table: {"linears": {name: {"structure": ..., "rank": ..., "bias": ...}}}.

    `bias` says whether the linear has one where that is not as in the stock classes.

    A type of its own, so that registering the classes below leaves every other Llama model alone.
    """

    model_type = "rankwright_llama"
    # The stock plans split linears that no longer exist.
    base_model_tp_plan = None

    if int(transformers.__version__.split(".")[0]) < 5:

        def __init__(self, rope_parameters=None, **kwargs):
            # transformers 5 saves rope_parameters alone, transformers 4 reads rope_theta and rope_scaling.
            rope = dict(rope_parameters or {})
            if "rope_theta" in rope:
                kwargs.setdefault("rope_theta", rope.pop("rope_theta"))
            if rope.get("rope_type", "default") != "default" and kwargs.get("rope_scaling") is None:
                kwargs["rope_scaling"] = rope
            super().__init__(**kwargs)
            self.rope_parameters = rope_parameters


class FactoredLinear(nn.Module):
    """y = B (A x) + bias, with A of rank x in_features and B of out_features x rank."""

    def __init__(self, in_features, out_features, rank, bias, device=None, dtype=None):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.rank = rank
        self.A = nn.Linear(in_features, rank, bias=False, device=device, dtype=dtype)
        self.B = nn.Linear(rank, out_features, bias=bias, device=device, dtype=dtype)

    def forward(self, x):
        return self.B(self.A(x))


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

    def forward(self, x):
        return self.B(x.index_select(-1, self.pivots) + self.A2(x.index_select(-1, self.rest())))


STRUCTURES = {"factors": FactoredLinear, "block-identity": BlockIdentityLinear}


def make_linear(entry, linear):
    """The linear that an entry of the table asks for in place of a stock one."""
    bias = entry.get("bias", linear.bias is not None)
    where = {"device": linear.weight.device, "dtype": linear.weight.dtype}
    if entry["structure"] == "dense":
        return nn.Linear(linear.in_features, linear.out_features, bias=bias, **where)
    return STRUCTURES[entry["structure"]](linear.in_features, linear.out_features, entry["rank"], bias, **where)


def swap_linears(model, prefix):
    """Replaces the linears of the table; `prefix` is what their names have before the path inside `model`."""
    table = (getattr(model.config, "rankwright", None) or {}).get("linears", {})
    for name, entry in table.items():
        if entry["structure"] not in ("dense", *STRUCTURES):
            raise ValueError(f"{name}: structure {entry['structure']!r} is not known to this file; known are {list(STRUCTURES)}")
        if not name.startswith(prefix):
            raise ValueError(f"{name}: no linear of this model")
        owner, _, leaf = name[len(prefix) :].rpartition(".")
        owner = model.get_submodule(owner)
        setattr(owner, leaf, make_linear(entry, getattr(owner, leaf)))


class RankwrightLlamaModel(LlamaModel):
    config_class = RankwrightLlamaConfig

    def __init__(self, config):
        super().__init__(config)
        swap_linears(self, "model.")


class RankwrightLlamaForCausalLM(LlamaForCausalLM):
    config_class = RankwrightLlamaConfig

    def __init__(self, config):
        super().__init__(config)
        swap_linears(self, "")


# save_pretrained then puts this file beside the weights.
RankwrightLlamaConfig.register_for_auto_class()
RankwrightLlamaModel.register_for_auto_class("AutoModel")
RankwrightLlamaForCausalLM.register_for_auto_class("AutoModelForCausalLM")
