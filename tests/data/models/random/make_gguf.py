"""The random Qwen2 and Qwen3 checkpoints as llama.cpp's converter writes them: its names, its order of rows, its metadata. No tokenizer.

usage: make_gguf.py FOLDER...

Needs PyPI's gguf (made with 0.19.0) and numpy. Writes FOLDER.gguf beside each folder, all values as F32. The names are gguf's own map from those of
Hugging Face. Unlike in files of Llama, rows of queries and keys stay in order.
"""

import json
import pathlib
import sys

import gguf
import numpy as np

ARCHITECTURES = {"qwen2": gguf.MODEL_ARCH.QWEN2, "qwen3": gguf.MODEL_ARCH.QWEN3}


def tensors(path):
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    for name, entry in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "BF16", entry
        begin, end = entry["data_offsets"]
        bits = np.frombuffer(data[start + begin : start + end], dtype="<u2").astype("<u4") << 16
        yield name, bits.view("<f4").reshape(entry["shape"])


def convert(folder):
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(folder.with_suffix(".gguf"), config["model_type"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    if "head_dim" in config:
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
    names = gguf.get_tensor_name_map(ARCHITECTURES[config["model_type"]], config["num_hidden_layers"])
    for file in sorted(folder.glob("*.safetensors")):
        for name, values in tensors(file):
            writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


for argument in sys.argv[1:]:
    convert(pathlib.Path(argument))
