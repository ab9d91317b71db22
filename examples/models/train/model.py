"""The network: a Llama of a few million parameters, in plain PyTorch (1.13 and later).

RMSNorm, rotary positions in half-split order (as Hugging Face lays them out), grouped-query
attention, SwiGLU, tied embeddings. Names of the parameters are those of the Hugging Face
checkpoint, so that export.py writes them as they are.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

EPS, THETA = 1e-5, 10000.0


class Shape:
    """Sizes of a network."""

    def __init__(self, vocab, dim=192, layers=6, heads=6, kv_heads=2, ffn=512, context=1024):
        self.vocab, self.dim, self.layers, self.heads = vocab, dim, layers, heads
        self.kv_heads, self.ffn, self.context = kv_heads, ffn, context
        self.head_dim = dim // heads


def rms_norm(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * weight


def rotate(x, cos, sin):
    """Rotary positions on the last axis, first half against second half."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Attention(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.s = s
        self.q_proj = nn.Linear(s.dim, s.heads * s.head_dim, bias=False)
        self.k_proj = nn.Linear(s.dim, s.kv_heads * s.head_dim, bias=False)
        self.v_proj = nn.Linear(s.dim, s.kv_heads * s.head_dim, bias=False)
        self.o_proj = nn.Linear(s.heads * s.head_dim, s.dim, bias=False)

    def forward(self, x, cos, sin, bias, cache):
        """x [B,T,dim], bias [B,1,T,T'] added to the scores, cache (k, v) of the past or None."""
        s, (B, T, _) = self.s, x.shape
        # One product for q, k and v: small matrices are slow one by one.
        qkv = F.linear(x, torch.cat([self.q_proj.weight, self.k_proj.weight, self.v_proj.weight]))
        qkv = qkv.view(B, T, s.heads + 2 * s.kv_heads, s.head_dim).transpose(1, 2)
        q, k, v = qkv.split([s.heads, s.kv_heads, s.kv_heads], 1)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if cache is not None:
            if cache:
                k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
            cache[:] = [k, v]
        # A group of query heads shares a kv head: fold the group into the rows.
        group = s.heads // s.kv_heads
        q = q.reshape(B, s.kv_heads, group * T, s.head_dim) * (1 / math.sqrt(s.head_dim))
        scores = (q @ k.transpose(-1, -2)).view(B, s.kv_heads * group, T, -1)
        weights = (scores + bias).softmax(-1).to(v.dtype)
        y = weights.view(B, s.kv_heads, group * T, -1) @ v
        y = y.view(B, s.heads, T, s.head_dim).transpose(1, 2).reshape(B, T, -1)
        return self.o_proj(y)


class Mlp(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.gate_proj = nn.Linear(s.dim, s.ffn, bias=False)
        self.up_proj = nn.Linear(s.dim, s.ffn, bias=False)
        self.down_proj = nn.Linear(s.ffn, s.dim, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Norm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return rms_norm(x, self.weight)


class Layer(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.self_attn, self.mlp = Attention(s), Mlp(s)
        self.input_layernorm, self.post_attention_layernorm = Norm(s.dim), Norm(s.dim)

    def forward(self, x, cos, sin, bias, cache):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, bias, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = s = shape
        self.embed_tokens = nn.Embedding(s.vocab, s.dim)
        self.layers = nn.ModuleList(Layer(s) for _ in range(s.layers))
        self.norm = Norm(s.dim)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                deep = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(p, std=.02 / (math.sqrt(2 * s.layers) if deep else 1))
        frequency = THETA ** (-torch.arange(0, s.head_dim, 2) / s.head_dim)
        angle = torch.arange(s.context)[:, None] * frequency
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, ids, bias, cache=None, start=0, last=False):
        """Logits [B,T,vocab]. cache: a list of one list a layer, empty at first."""
        end = start + ids.shape[1]
        cos, sin = self.cos[start:end], self.sin[start:end]
        x = self.embed_tokens(ids)
        for i, layer in enumerate(self.layers):
            x = layer(x, cos, sin, bias, None if cache is None else cache[i])
        x = self.norm(x[:, -1:] if last else x)
        return F.linear(x, self.embed_tokens.weight)


def document_bias(documents):
    """The causal mask inside each document of packed rows, as what is added to the scores.

    documents [B,T] numbers the document of each place. Rotary scores depend on differences of
    positions only, so a document in the middle of a row sees exactly what it would at position 0.
    """
    T = documents.shape[1]
    apart = documents[:, :, None] != documents[:, None, :]
    future = torch.ones(T, T, dtype=torch.bool, device=documents.device).triu(1)
    return torch.zeros(apart.shape, device=documents.device).masked_fill_(apart | future,
                                                                         -1e4)[:, None]


def load(path, device="cpu"):
    """(network in eval mode, checkpoint) of a checkpoint of train.py."""
    state = torch.load(path, map_location=device, **({"weights_only": False}
                       if torch.__version__ >= "2" else {}))
    network = Llama(Shape(**state["shape"])).to(device)
    network.load_state_dict(state["model"], strict=False)
    return network.eval(), state
