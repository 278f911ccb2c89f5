"""Small random checkpoints of every architecture with what transformers makes of them, float32 on the CPU.

usage: make_random_models.py TOKENIZER_DIR OUT

Writes OUT/NAME with config.json, weights (BF16) and reference.json: windows of ids, logits of some positions, the loss of every window (sum over
its predicted tokens, nats), per linear the raw sums over tokens of its input (trace and Frobenius norm of sum x x^T, norm of the mean), per block
the mean over tokens of 1 - cos(state before, state after), and what is added greedily to a prompt. TOKENIZER_DIR, whose tokenizer encodes the prompt, is tests/data/models/babyllama-tok105. Qwen3 is not in transformers 4.45: its checkpoint is written by hand and run
by the plain loop at the end of this file, which is first compared with transformers on Qwen2.
"""

import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import (GPT2Config, GPT2LMHeadModel, MistralConfig, MistralForCausalLM, OPTConfig, OPTForCausalLM, Qwen2Config, Qwen2ForCausalLM)
from transformers.pytorch_utils import Conv1D

VOCABULARY, CONTEXT, WINDOWS, LENGTH, POSITIONS, NEW_TOKENS = 105, 64, 3, 40, [0, 1, 9, 39], 24
PROMPT_TEXT = "Once upon a time"
PROMPT = Tokenizer.from_file(sys.argv[1] + "/tokenizer.json").encode(PROMPT_TEXT).ids
torch.set_num_threads(1)

rotary = dict(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
              max_position_embeddings=CONTEXT, rms_norm_eps=1e-6, bos_token_id=1, eos_token_id=2)
models = {
    "mistral": (MistralForCausalLM, MistralConfig(**rotary, sliding_window=12, tie_word_embeddings=False, head_dim=12)),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**rotary, rope_theta=1e6, use_sliding_window=False, tie_word_embeddings=True)),
    "opt": (OPTForCausalLM, OPTConfig(vocab_size=VOCABULARY, hidden_size=32, ffn_dim=64, num_hidden_layers=3, num_attention_heads=4,
                                      max_position_embeddings=CONTEXT, word_embed_proj_dim=32)),
    "gpt2": (GPT2LMHeadModel, GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=3, n_head=4, n_positions=CONTEXT, bos_token_id=1, eos_token_id=2)),
}


def randomise(parameters):
    """Values of a scale at which attention is far from uniform and no layer is linear, exact in BF16."""
    for name, parameter in parameters.items():
        if parameter.dim() == 2:
            scale = 0.6 if "embed" in name or "wte" in name or "wpe" in name else 1.5 * parameter.shape[0 if "c_" in name else 1] ** -0.5
            value = torch.randn_like(parameter) * scale
        elif name.endswith("bias"):
            value = torch.randn_like(parameter) * 0.3
        else:
            value = 1.0 + 0.3 * torch.randn_like(parameter)
        parameter.data.copy_(value.bfloat16().float())


def reference(forward, linears, blocks, generate):
    """`forward(ids)` gives logits and calls the hooks of `linears`: {name: register(hook)}, and of `blocks`: [register(hook)], with states before and after."""
    sums = {}
    turns = [[] for _ in blocks]

    def observe(name):
        def hook(x):
            x = x.detach().reshape(-1, x.shape[-1]).double()
            entry = sums.setdefault(name, [0, 0, 0])
            entry[0] += len(x)
            entry[1] = entry[1] + x.T @ x
            entry[2] = entry[2] + x.sum(0)
        return hook

    for name, register in linears.items():
        register(observe(name))
    for block, register in enumerate(blocks):
        register(lambda before, after, block=block: turns[block].append(1 - torch.cosine_similarity(before.double(), after.double(), -1).flatten()))
    ids = torch.randint(3, VOCABULARY, (WINDOWS, LENGTH))
    losses, first = [], None
    for window in ids:
        logits = forward(window)
        first = logits if first is None else first
        losses.append(float(-torch.log_softmax(logits[:-1].double(), -1).gather(-1, window[1:, None]).sum()))
    taps = {name: dict(tokens=n, trace=float(C.trace()), frobenius=float(C.norm()), meanNorm=float((s / n).norm()))
            for name, (n, C, s) in sums.items()}
    return dict(windows=ids.tolist(), positions=POSITIONS, logits=[first[p].tolist() for p in POSITIONS], windowNll=losses, linears=taps,
                blockInfluence=[float(torch.cat(turn).mean()) for turn in turns], promptText=PROMPT_TEXT, prompt=PROMPT, newTokens=NEW_TOKENS, generated=generate())


def write_reference(folder, result):
    result["madeWith"] = dict(transformers=transformers.__version__, torch=torch.__version__.split("+")[0])
    (folder / "reference.json").write_text(json.dumps(result) + "\n")


def of_transformers(model):
    observers = {}
    for name, module in model.named_modules():
        if name == "lm_head" or not isinstance(module, (torch.nn.Linear, Conv1D)):
            continue
        for part in [f"{name}.{p}" for p in "qkv"] if name.endswith("c_attn") else [name]:
            observers[part] = lambda hook, module=module: module.register_forward_pre_hook(lambda _, inputs: hook(inputs[0]))

    blocks = next(module for module in model.modules() if isinstance(module, torch.nn.ModuleList))
    turns = [lambda hook, block=block: block.register_forward_hook(lambda _, inputs, outputs: hook(inputs[0], outputs[0])) for block in blocks]

    def forward(ids):
        return model(ids[None], use_cache=False).logits[0]

    def generate():
        ids = torch.tensor([PROMPT])
        return model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=NEW_TOKENS, pad_token_id=0)[0, len(PROMPT):].tolist()

    return reference(forward, observers, turns, generate)


class PlainLoop:
    """The forward pass of Qwen2 and Qwen3 head by head, without a line of transformers."""

    def __init__(self, config, tensors):
        self.config, self.tensors, self.hooks, self.turns = config, tensors, {}, {}

    def linear(self, name, x):
        if name in self.hooks:
            self.hooks[name](x)
        bias = self.tensors.get(name + ".bias")
        y = x @ self.tensors[name + ".weight"].T
        return y if bias is None else y + bias

    def norm(self, name, x):
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + self.config["rms_norm_eps"]) * self.tensors[name + ".weight"]

    def rotate(self, x):
        half = x.shape[-1] // 2
        angles = torch.arange(len(x))[:, None] * self.config["rope_theta"] ** (-torch.arange(half) / half)
        low, high = x[:, :half], x[:, half:]
        return torch.cat((low * angles.cos() - high * angles.sin(), high * angles.cos() + low * angles.sin()), -1)

    def forward(self, ids):
        c = self.config
        width, sharing = c["head_dim"], c["num_attention_heads"] // c["num_key_value_heads"]
        hidden = self.tensors["model.embed_tokens.weight"][ids]
        for block in range(c["num_hidden_layers"]):
            name, before = f"model.layers.{block}.", hidden
            x = self.norm(name + "input_layernorm", hidden)
            q, k, v = (self.linear(f"{name}self_attn.{part}_proj", x).split(width, -1) for part in "qkv")
            if name + "self_attn.q_norm.weight" in self.tensors:
                q = [self.norm(name + "self_attn.q_norm", head) for head in q]
                k = [self.norm(name + "self_attn.k_norm", head) for head in k]
            heads = []
            for head, query in enumerate(q):
                scores = self.rotate(query) @ self.rotate(k[head // sharing]).T / width ** 0.5
                scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), float("-inf"))
                heads.append(scores.softmax(-1) @ v[head // sharing])
            hidden = hidden + self.linear(name + "self_attn.o_proj", torch.cat(heads, -1))
            x = self.norm(name + "post_attention_layernorm", hidden)
            gate = self.linear(name + "mlp.gate_proj", x)
            hidden = hidden + self.linear(name + "mlp.down_proj", gate * torch.sigmoid(gate) * self.linear(name + "mlp.up_proj", x))
            if block in self.turns:
                self.turns[block](before, hidden)
        head = self.tensors.get("lm_head.weight", self.tensors["model.embed_tokens.weight"])
        return self.norm("model.norm", hidden) @ head.T

    def generate(self):
        ids = list(PROMPT)
        for _ in range(NEW_TOKENS):
            ids.append(int(self.forward(torch.tensor(ids))[-1].argmax()))
            if ids[-1] == self.config["eos_token_id"]:
                break
        return ids[len(PROMPT):]

    def reference(self):
        names = [name.removesuffix(".weight") for name in self.tensors if "_proj." in name and name.endswith(".weight")]
        blocks = [lambda hook, block=block: self.turns.update({block: hook}) for block in range(self.config["num_hidden_layers"])]
        return reference(self.forward, {name: lambda hook, name=name: self.hooks.update({name: hook}) for name in names}, blocks, self.generate)


def make_qwen3(folder):
    config = dict(architectures=["Qwen3ForCausalLM"], model_type="qwen3", **rotary, head_dim=12, rope_theta=1e6, hidden_act="silu",
                  attention_bias=False, use_sliding_window=False, sliding_window=None, tie_word_embeddings=False, torch_dtype="bfloat16")
    hidden, inner, width = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    queries, keys = config["num_attention_heads"] * width, config["num_key_value_heads"] * width
    shapes = {"model.embed_tokens": (VOCABULARY, hidden), "model.norm": (hidden,), "lm_head": (VOCABULARY, hidden)}
    for block in range(config["num_hidden_layers"]):
        parts = {"self_attn.q_proj": (queries, hidden), "self_attn.k_proj": (keys, hidden), "self_attn.v_proj": (keys, hidden),
                 "self_attn.o_proj": (hidden, queries), "self_attn.q_norm": (width,), "self_attn.k_norm": (width,), "mlp.gate_proj": (inner, hidden),
                 "mlp.up_proj": (inner, hidden), "mlp.down_proj": (hidden, inner), "input_layernorm": (hidden,), "post_attention_layernorm": (hidden,)}
        shapes.update({f"model.layers.{block}.{name}": shape for name, shape in parts.items()})
    tensors = {name + ".weight": torch.empty(shape) for name, shape in shapes.items()}
    randomise(tensors)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    # Two files, as large checkpoints have them.
    names = sorted(tensors)
    index = {}
    for shard, part in enumerate((names[::2], names[1::2]), start=1):
        file = f"model-{shard:05}-of-00002.safetensors"
        save_file({name: tensors[name].bfloat16() for name in part}, folder / file, {"format": "pt"})
        index.update({name: file for name in part})
    size = sum(2 * tensor.numel() for tensor in tensors.values())
    (folder / "model.safetensors.index.json").write_text(json.dumps(dict(metadata=dict(total_size=size), weight_map=index), indent=1) + "\n")
    write_reference(folder, PlainLoop(config, tensors).reference())


def main():
    out = pathlib.Path(sys.argv[2])
    for seed, (name, (model_class, config)) in enumerate(models.items()):
        torch.manual_seed(seed)
        model = model_class(config)
        randomise(dict(model.named_parameters()))
        model.bfloat16().save_pretrained(out / name)
        (out / name / "generation_config.json").unlink(missing_ok=True)
        model = model_class.from_pretrained(out / name, torch_dtype=torch.float32, attn_implementation="eager").eval()
        write_reference(out / name, of_transformers(model))
        if name == "qwen2":
            ids = torch.randint(3, VOCABULARY, (LENGTH,))
            plain = PlainLoop(dict(config.to_dict(), head_dim=8), dict(model.state_dict())).forward(ids)
            expected = model(ids[None]).logits[0]
            assert (plain - expected).abs().max() < 1e-5 * expected.abs().max()
    torch.manual_seed(len(models))
    make_qwen3(out / "qwen3")


if __name__ == "__main__":
    with torch.no_grad():
        main()
