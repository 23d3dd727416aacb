"""Serves a tiny language model with llama.cpp's own HTTP server: `llama_model.py FOLDER PORT`.

The model is written here, and always says the same: each word stands for the one that comes after it. It is a real one of the
`llama` architecture all the same: a tokenizer with byte fallback, attention that adds nothing, and an end of its text.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import gguf
import numpy as np
import xllamacpp

SENTENCE = ("\u2581the", "\u2581loan", "\u2581is", "\u2581safe", ".")
CHOICES = 3
"""So many answers to one question are written at once."""
WIDTH, HEADS, HIDDEN, CONTEXT = 64, 4, 32, 512
_SPECIAL = (("<unk>", gguf.TokenType.UNKNOWN), ("<s>", gguf.TokenType.CONTROL), ("</s>", gguf.TokenType.CONTROL))
TEMPLATE = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}assistant:"


def vocabulary() -> list[tuple[str, int]]:
    """Every token with its type: the special ones, all bytes, and the words of the sentence."""
    letters = [(f"<0x{byte:02X}>", gguf.TokenType.BYTE) for byte in range(256)]
    return [*_SPECIAL, *letters, *((word, gguf.TokenType.NORMAL) for word in SENTENCE)]


def write(path: Path) -> None:
    """A model file is there."""
    tokens = vocabulary()
    first, end = len(tokens) - len(SENTENCE), 2
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list([token for token, _ in tokens])
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([int(kind) for _, kind in tokens])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(end)
    writer.add_unk_token_id(0)
    writer.add_chat_template(TEMPLATE)
    # A direction for each word; everything else shares the first direction, after which the sentence begins.
    embedded = np.zeros((len(tokens), WIDTH), dtype=np.float32)
    embedded[:first, 0] = 1
    output = np.zeros((len(tokens), WIDTH), dtype=np.float32)
    for place in range(len(SENTENCE)):
        embedded[first + place, place + 1] = 1
        output[first + place, place] = 1
    output[end, len(SENTENCE)] = 1
    square, wide = (WIDTH, WIDTH), (HIDDEN, WIDTH)
    noise = np.random.default_rng(1)
    tensors = {
        "token_embd.weight": embedded,
        "output.weight": output,
        "output_norm.weight": np.ones(WIDTH, dtype=np.float32),
        "blk.0.attn_norm.weight": np.ones(WIDTH, dtype=np.float32),
        "blk.0.ffn_norm.weight": np.ones(WIDTH, dtype=np.float32),
        **{f"blk.0.attn_{name}.weight": noise.normal(size=square).astype(np.float32) for name in "qkv"},
        "blk.0.attn_output.weight": np.zeros(square, dtype=np.float32),
        **{f"blk.0.ffn_{name}.weight": noise.normal(size=wide).astype(np.float32) for name in ("gate", "up")},
        "blk.0.ffn_down.weight": np.zeros((WIDTH, HIDDEN), dtype=np.float32),
    }
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def serve(path: Path, port: int) -> None:
    """Until the process is ended."""
    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.hostnames, settings.port = ["127.0.0.1"], port
    settings.n_ctx, settings.n_parallel, settings.n_threads_http = CONTEXT * CHOICES, CHOICES, 8
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    settings.cache_prompt = False  # otherwise an answer says how much of its prompt an earlier one had left
    settings.warmup = False
    settings.n_gpu_layers = 0
    settings.sampling.temp = 0.0
    settings.embedding = True
    settings.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_LAST
    settings.model_alias = {"tiny"}
    server = xllamacpp.Server(settings)
    print(server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    model = Path(sys.argv[1]) / "model.gguf"
    write(model)
    serve(model, int(sys.argv[2]))
