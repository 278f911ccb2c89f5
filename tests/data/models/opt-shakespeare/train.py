"""Trains the OPT of this folder on tinyshakespeare: a byte-level BPE tokenizer, then the model, float32 on one CPU thread.

usage: train.py TEXT OUT [--steps N]

TEXT is tests/data/texts/tinyshakespeare/input.txt: its first 36000 lines are trained on, the last 4000 are held out. OUT gets config.json,
model.safetensors (F16), tokenizer.json, tokenizer_config.json and training.json (steps, seconds, losses).
"""

import argparse
import json
import math
import pathlib
import time

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import OPTConfig, OPTForCausalLM

HELD_OUT_LINES, VOCABULARY, CONTEXT, BATCH = 4000, 1024, 256, 12
RATE, WARM_UP, WEIGHT_DECAY, DROPOUT = 2e-3, 100, 0.1, 0.1

parser = argparse.ArgumentParser()
parser.add_argument("text", type=pathlib.Path)
parser.add_argument("out", type=pathlib.Path)
parser.add_argument("--steps", type=int, default=2400)
arguments = parser.parse_args()
torch.manual_seed(1)
torch.set_num_threads(1)

lines = arguments.text.read_text(encoding="utf-8").splitlines(keepends=True)
parts = {"training": "".join(lines[:-HELD_OUT_LINES]), "heldOut": "".join(lines[-HELD_OUT_LINES:])}

tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
# The special tokens and ids of the published OPT models.
tokenizer.train_from_iterator([parts["training"]], trainers.BpeTrainer(
    vocab_size=VOCABULARY, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    show_progress=False))
ids = {name: torch.tensor(tokenizer.encode(text).ids) for name, text in parts.items()}

model = OPTForCausalLM(OPTConfig(
    vocab_size=VOCABULARY, hidden_size=128, ffn_dim=512, num_hidden_layers=4, num_attention_heads=4, max_position_embeddings=CONTEXT,
    word_embed_proj_dim=128, dropout=DROPOUT, attention_dropout=0.0, bos_token_id=2, eos_token_id=2, pad_token_id=1))
decayed = [p for p in model.parameters() if p.dim() == 2]
others = [p for p in model.parameters() if p.dim() < 2]
optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}],
                              lr=RATE, betas=(0.9, 0.95))


def loss(batch):
    return model(input_ids=batch, labels=batch).loss


def mean_loss(part):
    """Nats per predicted token of disjoint windows of the context."""
    windows = ids[part][: len(ids[part]) // CONTEXT * CONTEXT].view(-1, CONTEXT)
    model.eval()
    with torch.no_grad():
        total = sum(loss(batch).item() * len(batch) for batch in windows.split(16))
    model.train()
    return total / len(windows)


start = time.time()
model.train()
for step in range(arguments.steps):
    progress = min(1.0, (step + 1) / WARM_UP) * 0.5 * (1.0 + math.cos(math.pi * step / arguments.steps))
    for group in optimizer.param_groups:
        group["lr"] = RATE * progress
    first = torch.randint(len(ids["training"]) - CONTEXT, (BATCH,))
    value = loss(torch.stack([ids["training"][i : i + CONTEXT] for i in first.tolist()]))
    optimizer.zero_grad()
    value.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 200 == 0:
        print(step, round(value.item(), 4), round(mean_loss("heldOut"), 4), f"{time.time() - start:.0f} s", flush=True)
seconds = time.time() - start

# Losses of what is stored.
model.half().save_pretrained(arguments.out)
model = OPTForCausalLM.from_pretrained(arguments.out, torch_dtype=torch.float32)
tokenizer.save(str(arguments.out / "tokenizer.json"))
(arguments.out / "tokenizer_config.json").write_text(json.dumps(dict(
    tokenizer_class="PreTrainedTokenizerFast", bos_token="</s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
    model_max_length=CONTEXT), indent=2) + "\n")
result = dict(transformers=transformers.__version__, torch=torch.__version__.split("+")[0], threads=1, steps=arguments.steps,
              batch=BATCH, window=CONTEXT, seconds=round(seconds), parameters=sum(p.numel() for p in model.parameters()),
              tokens={name: len(value) for name, value in ids.items()}, loss={name: round(mean_loss(name), 4) for name in ids})
(arguments.out / "training.json").write_text(json.dumps(result, indent=2) + "\n")
print(json.dumps(result))
