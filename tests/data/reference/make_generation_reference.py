"""Greedy continuations by transformers, float32 on the CPU, of prompts given as token ids.

usage: make_generation_reference.py FILE.gguf PROMPTS.json OUT.json

PROMPTS.json is a list of {"text", "ids"}. transformers reads the GGUF file itself (packages gguf and accelerate); 4.45 does not know that its head is
tied, so that is done here.
"""
import json, os, sys
import torch, transformers
from transformers import AutoModelForCausalLM

file, prompts, out = sys.argv[1:4]
model = AutoModelForCausalLM.from_pretrained(os.path.dirname(os.path.abspath(file)), gguf_file=os.path.basename(file), torch_dtype=torch.float32).eval()
model.lm_head.weight = model.model.embed_tokens.weight
cases = []
for prompt in json.load(open(prompts)):
    ids = torch.tensor([prompt["ids"]])
    with torch.no_grad():
        generated = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=48, pad_token_id=2)[0, ids.shape[1]:].tolist()
    cases.append(dict(text=prompt["text"], prompt=prompt["ids"], new_tokens=48, generated=generated))
json.dump(dict(made_with=dict(transformers=transformers.__version__, torch=torch.__version__.split("+")[0], dtype="float32", device="cpu"),
               model=os.path.basename(file), cases=cases), open(out, "w"), indent=1)
