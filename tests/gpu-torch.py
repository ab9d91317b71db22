"""gpu-torch.py SHAPE - PyTorch beside gpu_bench: tokens a second of decode with one sequence.

A Llama-like transformer in BF16 with random weights, a static key-value cache, its layers compiled
(torch.compile) and the whole step recorded as a CUDA graph, as "reduce-overhead" does; one line of
JSON. Needs torch with CUDA; gpu-bench.sh leaves it out where there is none.
"""

import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

SHAPES = {  # dim, ffn, heads, KV heads, layers, vocab
    "llama-8b": (4096, 14336, 32, 8, 32, 128256),
    "llama-1b": (2048, 8192, 32, 8, 16, 128256),
}
CONTEXT, ROOM, RUNS, STEPS = 128, 256, 5, 24


def norm(x, w):
    y = x.float()
    return (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-5)).to(x.dtype) * w


def turn(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def layer(x, w, k, v, pos, cos, sin, mask, heads, kv_heads):
    dim = x.shape[-1] // heads
    q, key, value = F.linear(norm(x, w["attn_norm"]), w["qkv"]).split(
        (heads * dim, kv_heads * dim, kv_heads * dim), -1
    )
    k.index_copy_(2, pos, turn(key.view(1, kv_heads, 1, dim), cos, sin))
    v.index_copy_(2, pos, value.view(1, kv_heads, 1, dim))
    y = F.scaled_dot_product_attention(
        turn(q.view(1, heads, 1, dim), cos, sin), k, v, attn_mask=mask, enable_gqa=True
    )
    x = x + F.linear(y.reshape(1, heads * dim), w["o"])
    gate, up = F.linear(norm(x, w["ffn_norm"]), w["gate_up"]).chunk(2, -1)
    return x + F.linear(F.silu(gate) * up, w["down"])


def main():
    name = sys.argv[1]
    dim, ffn, heads, kv_heads, layers, vocab = SHAPES[name]
    head = dim // heads
    at = {"device": "cuda", "dtype": torch.bfloat16}

    def matrix(rows, cols):
        return torch.randn(rows, cols, **at) * 0.02

    weights = [
        {
            "attn_norm": torch.ones(dim, **at),
            "ffn_norm": torch.ones(dim, **at),
            "qkv": matrix((heads + 2 * kv_heads) * head, dim),
            "o": matrix(dim, dim),
            "gate_up": matrix(2 * ffn, dim),
            "down": matrix(dim, ffn),
        }
        for _ in range(layers)
    ]
    embed = matrix(vocab, dim)
    last = matrix(vocab, dim) if dim >= 4096 else embed
    ones = torch.ones(dim, **at)
    cache = [[torch.zeros(1, kv_heads, ROOM, head, **at) for _ in "kv"] for _ in range(layers)]
    angles = torch.outer(torch.arange(ROOM).float(), 1.0 / (1 + torch.arange(head // 2).float()))
    cos, sin = angles.cos().to(**at), angles.sin().to(**at)
    token = torch.zeros(1, dtype=torch.long, device="cuda")
    pos = torch.full((1,), CONTEXT, dtype=torch.long, device="cuda")
    one = torch.compile(layer, fullgraph=True, dynamic=False)

    def step():
        x = F.embedding(token, embed)
        mask = (torch.arange(ROOM, device="cuda") <= pos).view(1, 1, 1, ROOM)
        c, s = cos[pos], sin[pos]
        for w, (k, v) in zip(weights, cache):
            x = one(x, w, k, v, pos, c, s, mask, heads, kv_heads)
        token.copy_(F.linear(norm(x, ones), last).argmax(-1))

    with torch.no_grad():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        times = []
        for run in range(RUNS + 1):
            torch.cuda.synchronize()
            start = time.perf_counter()
            for _ in range(STEPS):
                graph.replay()
            torch.cuda.synchronize()
            times.append((time.perf_counter() - start) / STEPS)
    us = statistics.median(times[1:]) * 1e6
    line = {
        "bench": "torch",
        "model": name,
        "type": "BF16",
        "version": torch.__version__,
        "batch": 1,
        "ctx": CONTEXT,
        "us": round(us, 1),
        "tok_s": round(1e6 / us, 1),
    }
    print(json.dumps(line, separators=(",", ":")), flush=True)


main()
