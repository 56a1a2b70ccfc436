#!/usr/bin/env python3
"""Times TIES merging by `spectral merge` and by NumPy on the same checkpoints, and reading their bytes alone.

    ties.py FOLDER [--layers N] [--hidden N] [--inputs N] [--density X] [--rounds N]

Needs Python 3 with NumPy, and artifacts/bin/spectral (./build.sh). FOLDER gets the checkpoints on the first call: a
Llama base in F32 with random weights, in shards of one layer, and inputs that differ from it in all tensors. The files
are read once before timing, so that they come from the system's cache if memory suffices; "read" is what reading them
takes. All three run in turns. The results of NumPy and of the command are compared: they are equal but for a few
entries of equal size.

NumPy does what the convention of the command says, tensor by tensor: of each change the density's share of largest
entries stays, the sign is that of their sum (0 counts as plus), and the mean of the entries that agree is added.
"""
import argparse
import json
import pathlib
import shutil
import statistics
import struct
import subprocess
import sys
import time

import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]


def write(path, tensors):
    header, offset = {}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for values in tensors.values():
            values.tofile(file)


def read(path):
    data = numpy.memmap(path, numpy.uint8, "r")
    size = int(data[:8].view("<u8")[0])
    tensors = {}
    for name, entry in json.loads(data[8:8 + size].tobytes()).items():
        if name != "__metadata__":
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            tensors[name] = data[begin:end].view(numpy.float32).reshape(entry["shape"])
    return tensors


def shards(folder):
    return sorted(folder.glob("*.safetensors"))


def shapes(config):
    hidden, inner, rows = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    keys = config["num_key_value_heads"] * config["head_dim"]
    yield {"model.embed_tokens.weight": (rows, hidden), "model.norm.weight": (hidden,)}
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        yield {
            layer + "self_attn.q_proj.weight": (hidden, hidden),
            layer + "self_attn.k_proj.weight": (keys, hidden),
            layer + "self_attn.v_proj.weight": (keys, hidden),
            layer + "self_attn.o_proj.weight": (hidden, hidden),
            layer + "mlp.gate_proj.weight": (inner, hidden),
            layer + "mlp.up_proj.weight": (inner, hidden),
            layer + "mlp.down_proj.weight": (hidden, inner),
            layer + "input_layernorm.weight": (hidden,),
            layer + "post_attention_layernorm.weight": (hidden,),
        }


def make(folder, options):
    """Writes the base and the inputs, each shard of which is the base's plus noise of a tenth of its size."""
    sample = ROOT / "samples/base-model"
    config = json.loads((sample / "config.json").read_text())
    config.update(hidden_size=options.hidden, intermediate_size=options.hidden * 3, head_dim=64,
                  num_hidden_layers=options.layers, num_attention_heads=options.hidden // 64,
                  num_key_value_heads=options.hidden // 128)
    models = [folder / "base", *(folder / f"input-{i}" for i in range(options.inputs))]
    random = numpy.random.default_rng(0)
    maps = [{} for _ in models]
    total = config["num_hidden_layers"] + 1
    for model in models:
        model.mkdir(parents=True)
        shutil.copy(sample / "tokenizer.json", model)
        (model / "config.json").write_text(json.dumps(config))
    for number, shard in enumerate(shapes(config), 1):
        name = f"model-{number:05}-of-{total:05}.safetensors"
        base = {key: random.standard_normal(shape, numpy.float32) * numpy.float32(0.02) for key, shape in shard.items()}
        for model, places in zip(models, maps):
            tuned = base if model == models[0] else {
                key: values + random.standard_normal(values.shape, numpy.float32) * numpy.float32(0.002)
                for key, values in base.items()}
            write(model / name, tuned)
            places.update(dict.fromkeys(shard, name))
    for model, places in zip(models, maps):
        index = {"metadata": {}, "weight_map": places}
        (model / "model.safetensors.index.json").write_text(json.dumps(index))


def largest(change, density):
    """Returns the change with all but its largest entries set to zero."""
    kept = int(density * change.size)
    least = numpy.partition(numpy.abs(change), change.size - kept, axis=None)[change.size - kept]
    return numpy.where(numpy.abs(change) >= least, change, 0)


def ties(models, out, density):
    out.mkdir()
    for path in shards(models[0]):
        base, *tuned = [read(model / path.name) for model in models]
        merged = {}
        for name, values in base.items():
            changes = [largest(one[name] - values, density) for one in tuned]
            sign = numpy.where(sum(changes) >= 0, numpy.float32(1), numpy.float32(-1))
            agree = [change * sign > 0 for change in changes]
            total = sum(numpy.where(mask, change, 0) for mask, change in zip(agree, changes))
            merged[name] = values + total / numpy.maximum(sum(mask.astype(numpy.float32) for mask in agree), 1)
        write(out / path.name, merged)


def spectral(models, out, density):
    command = [ROOT / "artifacts/bin/spectral", "merge", "--method", "ties", "--model", models[0], "--density",
               str(density), "--out", out, "--device", "cpu", "--json"]
    for model in models[1:]:
        command += ["--input", model]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def read_all(models, out, density):
    buffer = bytearray(16 << 20)
    for model in models:
        for path in shards(model):
            with open(path, "rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass


def share_that_differs(one, other):
    """Returns the share of entries further apart than rounding; where changes are equal in size, either may be kept."""
    differ = total = 0
    for path in shards(one):
        theirs = read(other / path.name)
        for name, values in read(path).items():
            differ += int((~(numpy.abs(values - theirs[name]) <= 1e-6)).sum())
            total += values.size
    return differ / total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    for name, value in (("layers", 8), ("hidden", 1024), ("inputs", 4), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--density", type=float, default=0.2)
    options = parser.parse_args()
    if not (options.folder / "base").exists():
        make(options.folder, options)
    models = [options.folder / "base", *sorted(options.folder.glob("input-*"))]
    size = sum(path.stat().st_size for model in models for path in shards(model))
    ways = {"read": read_all, "spectral": spectral, "numpy": ties}
    times = {name: [] for name in ways}
    read_all(models, None, None)
    for _ in range(options.rounds):
        for name, way in ways.items():
            out = options.folder / f"out-{name}"
            shutil.rmtree(out, ignore_errors=True)
            begin = time.perf_counter()
            way(models, out, options.density)
            times[name].append(time.perf_counter() - begin)
    differ = share_that_differs(options.folder / "out-numpy", options.folder / "out-spectral")
    print(f"{len(models) - 1} inputs and their base, {size / 1e9:.2f} GB; density {options.density}; "
          f"share of the entries that differ {differ:.1e}")
    for name, all_times in times.items():
        median = statistics.median(all_times)
        spread = f"{min(all_times):.2f} to {max(all_times):.2f}"
        print(f"{name:<10} {median:8.2f} s   {spread:<20} {size / 1e9 / median:6.2f} GB/s")
    if not differ <= 1e-5:
        sys.exit("the results differ")


main()
