"""Tokenizer folders whose tokenizer_config.json changes what transformers reads, with the ids of its AutoTokenizer.

usage: make_tokenizer_classes.py LLAMA_DIR GPT2_DIR OUT

LLAMA_DIR holds a tokenizer.json of Llama's kind, GPT2_DIR a vocab.json and merges.txt. OUT/NAME is a folder; OUT/NAME/reference.json
holds texts with their ids, with and without special tokens.
"""
import json, pathlib, shutil, sys
from transformers import AutoTokenizer

llama, gpt2, out = (pathlib.Path(argument) for argument in sys.argv[1:4])
TEXTS = ["Once upon a time", "In 1984, 12345 people didn't.", "e\u0301 <|endoftext|> x", "  two\n\nlines <|im_start|>user"]


def token(content):
    return dict(content=content, lstrip=False, rstrip=False, normalized=False, single_word=False, special=True)


def llama_folder(folder, config, **changes):
    tokenizer = json.loads((llama / "tokenizer.json").read_text())
    tokenizer.update(changes)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    base = dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    (folder / "tokenizer_config.json").write_text(json.dumps({**base, **config}))
    (folder / "config.json").write_text(json.dumps(dict(model_type="llama")))


def vocabulary_folder(folder, model_type, config):
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(gpt2 / name, folder / name)
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "config.json").write_text(json.dumps(dict(model_type=model_type)))


L = dict(tokenizer_class="LlamaTokenizer")
roles = dict(bos_token=None, eos_token="<|endoftext|>", unk_token="<|endoftext|>")
added = {"50256": token("<|endoftext|>"), "50257": token("<|im_start|>")}
folders = {
    "llama": lambda f: llama_folder(f, L),
    "llama-no-post-processor": lambda f: llama_folder(f, L, post_processor=None),
    "llama-fast-eos": lambda f: llama_folder(f, dict(tokenizer_class="LlamaTokenizerFast", add_eos_token=True)),
    "llama-no-bos": lambda f: llama_folder(f, dict(L, add_bos_token=False)),
    "llama-other-bos": lambda f: llama_folder(f, dict(L, bos_token="</s>")),
    "as-the-file-says": lambda f: llama_folder(f, dict(tokenizer_class="PreTrainedTokenizerFast"), post_processor=None),
    "qwen2-class": lambda f: vocabulary_folder(f, "qwen2", dict(tokenizer_class="Qwen2Tokenizer", **roles, added_tokens_decoder=added)),
    "gpt2-class": lambda f: vocabulary_folder(f, "gpt2", dict(tokenizer_class="GPT2Tokenizer", bos_token="<|endoftext|>",
                                                             eos_token="<|endoftext|>", unk_token="<|endoftext|>", added_tokens_decoder=added)),
}
for name, make in folders.items():
    folder = out / name
    folder.mkdir()
    make(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = [dict(text=text, whole=tokenizer(text).input_ids, bare=tokenizer(text, add_special_tokens=False).input_ids) for text in TEXTS]
    (folder / "reference.json").write_text(json.dumps(ids))
