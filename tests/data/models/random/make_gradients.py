"""Gradients of the small random checkpoints from torch, float64: autograd and finite differences.

usage: make_gradients.py TOKENIZER_DIR FOLDER

Reads FOLDER/NAME and the windows in its reference.json, writes FOLDER/NAME/gradients.json. For every linear y = W x: the sum over the tokens of all
windows of g g^T, g the gradient of the summed negative log-likelihood of a window's next tokens with respect to y (trace, Frobenius norm, a corner),
the gradient with respect to W (Frobenius norm, a corner), and central differences of the loss for two entries of W (row, column, value), which must
agree with autograd. Linears that are stored fused are told apart. Qwen3 goes through the plain loop of make_random_models.py, which is first
compared here with transformers on Qwen2.
"""

import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import load_file

import make_random_models as models

torch.set_default_dtype(torch.float64)


def plain_norm(self, x):
    """RMSNorm without the way through float32."""
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


torch.nn.functional.softmax = lambda x, dim, dtype=None: torch.softmax(x, dim)  # eager attention asks for float32
transformers.models.mistral.modeling_mistral.MistralRMSNorm.forward = plain_norm
transformers.models.qwen2.modeling_qwen2.Qwen2RMSNorm.forward = plain_norm


def losses(forward, windows):
    return sum(torch.nn.functional.cross_entropy(forward(ids)[:-1], ids[1:], reduction="sum") for ids in map(torch.tensor, windows))


def difference(weight, row, column, loss):
    """d loss / d weight[row, column] by central differences of two steps and Richardson's extrapolation."""
    start, slopes = float(weight[row, column]), []
    for step in (1e-5, 5e-6):
        weight[row, column] = start + step
        above = loss()
        weight[row, column] = start - step
        slopes.append((above - loss()) / (2 * step))
    weight[row, column] = start
    return float(4 * slopes[1] - slopes[0]) / 3


def figures(squares, weights, gradients, loss):
    """By name: squares, weights and their gradients as (outputs x inputs), and the loss as a function of the weights."""
    result = {}
    squares = dict(squares)
    for name, square in squares.items():
        gradient, differences = gradients[name], []
        with torch.no_grad():
            for row, column in ((0, 1), (gradient.shape[0] - 2, gradient.shape[1] // 2)):
                value = difference(weights[name].data, row, column, loss)
                assert abs(value - float(gradient[row, column])) < 1e-6 * float(gradient.abs().max()), (name, value, gradient[row, column])
                differences.append([row, column, value])
        result[name] = dict(trace=float(square.trace()), frobenius=float(square.norm()), corner=square[:3, :3].tolist(),
                            weightFrobenius=float(gradient.norm()), weightCorner=gradient[:3, :3].tolist(), differences=differences)
    return result


class Watch:
    """Sums g g^T of outputs by name."""

    def __init__(self):
        self.squares = {}

    def add(self, name, gradient):
        g = gradient.detach().reshape(-1, gradient.shape[-1]).double()
        self.squares[name] = self.squares.get(name, 0) + g.T @ g


def of_transformers(folder, windows):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float64, attn_implementation="eager").eval()
    watch, parts = Watch(), {}
    for name, module in model.named_modules():
        if name == "lm_head" or not isinstance(module, (torch.nn.Linear, models.Conv1D)):
            continue
        names = [f"{name}.{p}" for p in "qkv"] if name.endswith("c_attn") else [name]
        parts[name] = names

        def hook(_, inputs, output, names=names):
            width = output.shape[-1] // len(names)
            if output.requires_grad:
                output.register_hook(lambda g: [watch.add(part, g[..., i * width:(i + 1) * width]) for i, part in enumerate(names)] and None)

        module.register_forward_hook(hook)
    def loss_of():
        return losses(lambda ids: model.get_output_embeddings()(model.base_model(ids[None], use_cache=False).last_hidden_state)[0], windows)

    loss = loss_of()
    loss.backward()
    squares, weights, gradients = dict(watch.squares), {}, {}
    for name, names in parts.items():
        module = model.get_submodule(name)
        transposed = isinstance(module, models.Conv1D)
        weights.update(zip(names, (module.weight.data.T if transposed else module.weight.data).chunk(len(names))))
        gradients.update(zip(names, (module.weight.grad.T if transposed else module.weight.grad).chunk(len(names))))
    return float(loss), figures(squares, weights, gradients, loss_of)


class WatchedLoop(models.PlainLoop):
    def __init__(self, config, tensors):
        super().__init__(config, {name: tensor.double().requires_grad_() for name, tensor in tensors.items()})
        self.watch = Watch()

    def linear(self, name, x):
        y = super().linear(name, x)
        if y.requires_grad:
            y.register_hook(lambda g: self.watch.add(name, g) and None)
        return y


def of_plain_loop(folder, windows):
    config = json.loads((folder / "config.json").read_text())
    config.setdefault("head_dim", config["hidden_size"] // config["num_attention_heads"])
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors.update(load_file(file))
    loop = WatchedLoop(config, tensors)
    loss = losses(loop.forward, windows)
    loss.backward()
    weights = {name: loop.tensors[name + ".weight"] for name in loop.watch.squares}
    gradients = {name: weight.grad for name, weight in weights.items()}
    return float(loss), figures(loop.watch.squares, weights, gradients, lambda: losses(loop.forward, windows))


def main():
    root = pathlib.Path(sys.argv[2])
    for name in ("mistral", "qwen2", "qwen3", "opt", "gpt2"):
        folder = root / name
        windows = json.loads((folder / "reference.json").read_text())["windows"]
        loss, linears = (of_plain_loop if name == "qwen3" else of_transformers)(folder, windows)
        if name == "qwen2":
            plain, others = of_plain_loop(folder, windows)
            assert abs(plain - loss) < 1e-6 * loss
            for linear, expected in linears.items():
                assert abs(others[linear]["weightFrobenius"] - expected["weightFrobenius"]) < 1e-4 * expected["weightFrobenius"], linear
        made_with = dict(transformers=transformers.__version__, torch=torch.__version__.split("+")[0])
        (folder / "gradients.json").write_text(json.dumps(dict(summedNll=loss, linears=linears, madeWith=made_with)) + "\n")


main()
