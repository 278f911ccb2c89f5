"""Usage: check_exports.py JOB.json

Loads exports with transformers and prints one JSON object with what was found; the test that wrote the job decides what is right.
JOB: {"exports": [{"name", "folder", "custom", "class" (stock), "ids", "logits" (file of float32, tokens x vocabulary), "generate" (tokens),
"texts", "tokenIds", "thorough"}], "stocks": [folder], "stockFirst": bool, "scratch": folder}.
"""

import gc
import json
import os
import shutil
import sys

import numpy
import torch
import transformers
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer

DTYPE = "dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"


def load(folder, custom, dtype=torch.float32):
    options = {"trust_remote_code": True} if custom else {}
    return AutoModelForCausalLM.from_pretrained(folder, **{DTYPE: dtype}, **options).eval()


def logits(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].float().numpy()


def difference(expected, found):
    return float(abs(expected - found).max() / abs(expected).max())


def factors(model):
    return sorted(name for name in model.state_dict() if name.split(".")[-2] in ("A", "B", "A2", "S") or name.endswith(".pivots"))


def is_tied(model):
    return model.get_output_embeddings().weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()


def as_saved_by_5(folder, copy):
    """The folder with the rotary settings in rope_parameters only, as transformers 5 saves them."""
    shutil.copytree(folder, copy)
    path = os.path.join(copy, "config.json")
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    for name in ("rope_theta", "rope_scaling", "torch_dtype"):
        config.pop(name, None)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file)


def check_tokenizer(export, model):
    # transformers 5 asks about custom code even where the tokenizer has none.
    options = {"trust_remote_code": True} if export["custom"] else {}
    tokenizer = AutoTokenizer.from_pretrained(export["folder"], **options)
    wrong = []
    for text, expected in zip(export["texts"], export["tokenIds"]):
        if tokenizer(text, add_special_tokens=False)["input_ids"] != expected:
            wrong.append(text)
    # As the model card says: every input the tokenizer makes is one that generate() takes.
    written = tokenizer(export["texts"][0], return_tensors="pt")
    model.generate(**written, do_sample=False, max_new_tokens=2)
    return {"class": type(tokenizer).__name__, "wrong": wrong, "withSpecial": written["input_ids"][0].tolist(),
            "bos": tokenizer.bos_token_id, "eos": tokenizer.eos_token_id}


def check_thoroughly(export, model, expected, found, scratch):
    """Further ways to load the same folder, too slow for a large model in a test."""
    ids = export["ids"]
    custom = export["custom"]
    half = load(export["folder"], custom, torch.bfloat16)
    result = {"halfDtypes": sorted({str(p.dtype) for p in half.parameters()})}
    result["halfDifference"] = difference(expected, logits(half, ids))
    result["halfPivots"] = all(torch.equal(value, half.state_dict()[name]) for name, value in model.state_dict().items()
                               if name.endswith((".pivots", ".columns", ".counts")))
    if not custom:
        return result

    copy = os.path.join(scratch, export["name"] + "-rotary")
    as_saved_by_5(export["folder"], copy)
    result["rotaryDifference"] = difference(found, logits(load(copy, custom), ids))
    base = AutoModel.from_pretrained(export["folder"], trust_remote_code=True, **{DTYPE: torch.float32}).eval()
    with torch.no_grad():
        hidden = base(torch.tensor([ids])).last_hidden_state
        result["baseDifference"] = difference(found, model.lm_head(hidden)[0].numpy())
    # Gradients reach the factors, also after a first call in inference mode.
    trained = load(export["folder"], custom)
    with torch.inference_mode():
        trained(torch.tensor([ids]))
    trained(torch.tensor([ids]), labels=torch.tensor([ids])).loss.backward()
    result["gradients"] = all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in trained.parameters())
    config = AutoConfig.from_pretrained(export["folder"], trust_remote_code=True)
    fresh = AutoModelForCausalLM.from_config(config, trust_remote_code=True)
    result["freshFinite"] = all(bool(torch.isfinite(p).all()) for p in fresh.parameters())
    return result


def check(export, scratch):
    if not hasattr(transformers, export["class"]):
        return {"absent": True}
    ids = export["ids"]
    custom = export["custom"]
    model = load(export["folder"], custom)
    expected = numpy.fromfile(export["logits"], dtype=numpy.float32).reshape(len(ids), -1)
    found = logits(model, ids)
    result = {"class": type(model).__name__, "difference": difference(expected, found), "factors": factors(model)}
    result["tied"] = is_tied(model)
    # Every number stored for a sparse part counts, its indices too.
    indices = [b for name, b in model.named_buffers() if name.endswith((".S.columns", ".S.counts"))]
    result["parameters"] = sum(p.numel() for p in (*model.parameters(), *indices))

    generated = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), do_sample=False,
                               max_new_tokens=export["generate"], min_new_tokens=export["generate"], use_cache=True)
    result["generated"] = generated[0, len(ids):].tolist()

    saved = os.path.join(scratch, export["name"] + "-saved.again")
    model.save_pretrained(saved)
    again = load(saved, custom)
    result["savedFactors"] = factors(again)
    result["savedDifference"] = difference(found, logits(again, ids))
    result["savedTied"] = is_tied(again)
    result["savedFiles"] = sorted(os.listdir(saved))
    state = again.state_dict()
    result["savedEqual"] = all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    del again, state

    if export["texts"]:
        result["tokenizer"] = check_tokenizer(export, model)
    if export["thorough"]:
        result.update(check_thoroughly(export, model, expected, found, scratch))
    del model
    gc.collect()
    return result


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    result = {"transformers": transformers.__version__, "torch": torch.__version__, "exports": {}}

    def load_stocks(when):
        stocks = [load(folder, False) for folder in job["stocks"]]
        result[when] = [{"class": type(stock).__name__, "exact": type(stock).__module__.startswith("transformers.models.")} for stock in stocks]
        return stocks

    first = load_stocks("stockBefore") if job["stockFirst"] else None
    for export in job["exports"]:
        result["exports"][export["name"]] = check(export, job["scratch"])
    stocks = load_stocks("stockAfter")
    if first is not None:
        ids = list(range(1, 33))
        result["stockUnchanged"] = all(bool((logits(a, ids) == logits(b, ids)).all()) for a, b in zip(first, stocks))
    print(json.dumps(result))


main()
