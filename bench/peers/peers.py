#!/usr/bin/env python3
"""Times what others do on the same machine for the same shapes: PEFT's LoRA layer, eager LoRA as LoRAFusion's paper times it, torch.svd_lowrank.

    peers.py [--json FILE] [--filter TEXT] [--quick | --smoke] [--device cuda|cpu] [--minutes N]
    peers.py --merge OURS.json THEIRS.json     # both in one table, by case and shape

As spectral-bench does it: random normal BF16 inputs, CUDA events, all variants warmed and then in turns, median with p10 and p90, buffers
rotated so that twice the L2 cache is touched between two uses, each result checked before it is timed. Same table, same JSON.
"""
import argparse
import datetime
import json
import math
import sys
import time

SCHEMA = "spectral-bench/1"
CPU_WARNING = "CPU: not a GPU measurement"
ROUNDS, WARMUPS, SHORTEST_SAMPLE_US, LONGEST_TOTAL_US = 5, 3, 200.0, 4e6
LAYOUT = "{:<58} {:<18} {:>11} {:<17} {:>4} {:>13} {:>6} {:>7} {:>7} {:>7}  {}"
FIELDS = ("case target shape variant role status note median_us p10_us p90_us least_us samples calls_per_sample clock bytes flops gb_per_s tflops bound "
          "percent_of_ceiling ratio_to_plain ratio_to_a ratio_to_b figures").split()


# The table, also for merging: needs nothing but Python.

def number(value):
    return f"{value:.{0 if value >= 1000 else 1 if value >= 100 else 2 if value >= 1 else 4}f}"


def line(result):
    timed = result["median_us"] is not None
    ratio = lambda key: "-" if result[key] is None else f"{result[key]:.3f}"
    if result["bound"] == "compute" and result["tflops"] is not None:
        rate = number(result["tflops"]) + " TFLOP/s"
    else:
        rate = "-" if result["gb_per_s"] is None else number(result["gb_per_s"]) + " GB/s"
    remarks = ([result["note"]] if result["note"] else []) + [f"{name}={value:.5g}" for name, value in result["figures"].items()]
    return LAYOUT.format(
        f"{result['case']} {result['shape']}", result["variant"], number(result["median_us"]) if timed else result["status"],
        f"{number(result['p10_us'])}-{number(result['p90_us'])}" if timed else "-", result["samples"] or "-", rate,
        "-" if result["percent_of_ceiling"] is None else f"{result['percent_of_ceiling']:.1f}",
        ratio("ratio_to_plain"), ratio("ratio_to_a"), ratio("ratio_to_b"), ", ".join(remarks)).rstrip()


def header():
    return LAYOUT.format("case shape", "variant", "us", "p10-p90", "n", "rate", "% ceil", "/plain", "/A", "/B", "").rstrip()


def load(path):
    try:
        with open(path) as file:
            report = json.load(file)
    except (OSError, ValueError) as error:
        sys.exit(f"peers.py: {path}: {error}")
    if report.get("schema") != SCHEMA:
        sys.exit(f"peers.py: {path}: schema {report.get('schema')!r}, expected {SCHEMA!r}")
    return report


def merge(ours, theirs):
    """Every shape that theirs has, with all variants of both; then how much faster our best is than each of theirs."""
    ours, theirs = load(ours), load(theirs)
    for name, report in (("ours", ours), ("theirs", theirs)):
        device = report["device"]
        print(f"{name}: {device['name']}, {report['started']}{'' if report['complete'] else ', incomplete'}{', ' + device['warning'] if device.get('warning') else ''}")
    print(header())
    shapes = list(dict.fromkeys((result["case"], result["shape"]) for result in theirs["results"]))
    lines = []
    for key in shapes:
        of = lambda report: [result for result in report["results"] if (result["case"], result["shape"]) == key]
        for result in of(ours) + of(theirs):
            print(line(result))
        best = min((result for result in of(ours) if result["status"] == "ok" and result["role"] == "ours"), key=lambda result: result["median_us"], default=None)
        for result in of(theirs):
            if best and result["status"] == "ok" and result["role"] == "ours" and key[0] != "ceiling":
                lines.append(f"{key[0]} {key[1]}: {best['variant']} is {result['median_us'] / best['median_us']:.3f} times as fast as {result['variant']}")
    print("\n".join([""] + (lines or ["no shape was timed by both"])))


# Timing.

class Bench:
    def __init__(self, torch, device, extent):
        self.torch, self.device, self.extent, self.cuda = torch, device, extent, device.type == "cuda"
        self.wanted, self.least = {"full": (60, 10), "quick": (20, 5), "smoke": (5, 3)}[extent]
        self.l2 = torch.cuda.get_device_properties(device).L2_cache_size if self.cuda else 1 << 20
        self.copy_rate = self.flop_rate = math.inf
        self.results = []

    def choose(self, full, quick, smoke):
        return {"full": full, "quick": quick, "smoke": smoke}[self.extent]

    def copies_for(self, size):
        return 1 + int(min(max(math.ceil(2.0 * self.l2 / max(1, size)), 1), 63))

    def normal(self, *shape, deviation=1.0, dtype=None):
        return (deviation * self.torch.randn(*shape, device=self.device, dtype=self.torch.float32)).to(dtype or self.torch.bfloat16)

    def synchronize(self):
        if self.cuda:
            self.torch.cuda.synchronize()

    def take(self, run, state, samples, calls):
        """Microseconds per call of so many samples."""
        marks = []
        for _ in range(samples):
            start, end = ([self.torch.cuda.Event(enable_timing=True) for _ in range(2)] if self.cuda else (None, None))
            began = time.perf_counter()
            if self.cuda:
                start.record()
            for _ in range(calls):
                run(state["copy"])
                state["copy"] = (state["copy"] + 1) % state["copies"]
            if self.cuda:
                end.record()
            marks.append((start, end, began, time.perf_counter()))
        self.synchronize()
        return [1000.0 * start.elapsed_time(end) / calls if self.cuda else 1e6 * (done - began) / calls for start, end, began, done in marks]

    def scenario(self, case, target, shape, copies, variants):
        """variants: dicts of name, run(copy), check() -> complaint or None, role, bytes, flops, figures."""
        lines, courses = [], []
        for variant in variants:
            result = dict.fromkeys(FIELDS)
            result.update(case=case, target=target, shape=shape, variant=variant["name"], role=variant.get("role", "ours"), status="ok", samples=0, calls_per_sample=0,
                          bytes=variant.get("bytes", 0.0), flops=variant.get("flops", 0.0), figures={})
            lines.append(result)
            try:
                if variant.get("missing"):
                    result.update(status="unavailable", note=variant["missing"])
                    continue
                complaint = variant["check"]()
                if complaint:
                    result.update(status="FAILED", note=complaint)
                    continue
                state = {"copy": 0, "copies": copies}
                self.take(variant["run"], state, 1, 1)
                estimate = sorted(self.take(variant["run"], state, WARMUPS, 1))[WARMUPS // 2]
                calls = 1 if self.extent == "smoke" else int(min(max(SHORTEST_SAMPLE_US / max(estimate, 0.5), 1), 100))
                wanted = int(min(max(LONGEST_TOTAL_US / max(1.0, estimate * calls), self.least), self.wanted))
                courses.append((variant, result, state, calls, wanted, []))
            except Exception as error:   # whatever goes wrong is a line of the report
                result.update(status="FAILED", note=f"{type(error).__name__}: {error}".replace("\n", " ")[:300])
        for turn in range(ROUNDS):
            for variant, result, state, calls, wanted, times in courses:
                part = wanted * (turn + 1) // ROUNDS - wanted * turn // ROUNDS
                if part:
                    self.take(variant["run"], state, 1, calls)
                    times.extend(self.take(variant["run"], state, part, calls))
        for variant, result, state, calls, wanted, times in courses:
            self.fill(result, sorted(times), calls, variant)
        medians = {role: next((result["median_us"] for result in lines if result["role"] == role and result["median_us"]), None) for role in ("plain", "a", "b")}
        for result in lines:
            if result["median_us"]:
                for role, median in medians.items():
                    result[f"ratio_to_{role}"] = result["median_us"] / median if median else None
            print(line(result), flush=True)
        self.results += lines
        return lines

    def fill(self, result, times, calls, variant):
        def quantile(share):
            position = share * (len(times) - 1)
            below = int(position)
            return times[below] + (position - below) * (times[min(below + 1, len(times) - 1)] - times[below])
        median, moved, done = quantile(0.5), result["bytes"], result["flops"]
        result.update(median_us=median, p10_us=quantile(0.1), p90_us=quantile(0.9), least_us=times[0], samples=len(times), calls_per_sample=calls,
                      clock="events" if self.cuda else "host", gb_per_s=moved / median / 1e3 if moved else None, tflops=done / median / 1e6 if done else None)
        if moved or done:
            memory, compute = moved / self.copy_rate, done / self.flop_rate
            result.update(bound="memory" if memory >= compute else "compute", percent_of_ceiling=100e6 * max(memory, compute) / median)
        if "figures" in variant:
            result["figures"] = variant["figures"](median)

    def compare(self, what, actual, expected, bound=1 / 128):
        """Complaint unless the relative error in F32 is within the bound; NaN never is."""
        error = (self.torch.linalg.vector_norm(actual.float() - expected) / self.torch.linalg.vector_norm(expected)).item()
        return None if error <= bound else f"{what}: relative error {error:.3g} (bound {bound:.3g})"


# What is timed.

def ceilings(bench):
    side, edge = bench.choose(32768, 32768, 512), bench.choose(8192, 8192, 128)
    source, target = bench.normal(side, side), bench.normal(side, side)
    copied = bench.scenario("ceiling", 0, f"{2.0 * side * side * 2 / 1e9:.3g} GB", 1, [dict(
        name="torch copy", run=lambda copy: target.copy_(source), bytes=4.0 * side * side,
        check=lambda: (target.zero_(), target.copy_(source), bench.compare("copy", target[:64], source[:64].float(), 0))[-1])])[0]
    del source, target
    a, b = bench.normal(edge, edge), bench.normal(edge, edge)
    out = bench.normal(edge, edge)
    product = bench.scenario("ceiling", 0, f"{edge} x {edge} x {edge}", 1, [dict(
        name="torch product", run=lambda copy: bench.torch.matmul(a, b.T, out=out), flops=2.0 * edge ** 3, bytes=6.0 * edge * edge,
        check=lambda: (bench.torch.matmul(a, b.T, out=out), bench.compare("product", out[:16], a[:16].float() @ b.float().T))[-1])])[0]
    if copied["gb_per_s"] and product["tflops"]:
        bench.copy_rate, bench.flop_rate = 1e9 * copied["gb_per_s"], 1e12 * product["tflops"]
        copied.update(bound="memory", percent_of_ceiling=100.0)
        product.update(bound="compute", percent_of_ceiling=100.0)


def layer(bench, case, target, label, m, k, n, r, dropout, step, peft):
    """y = x W^T + s dropout(x) A^T B^T, and with step its backward pass for dy: eager operations, PEFT's layer, the frozen product alone."""
    torch, scale = bench.torch, 2.0
    functional = torch.nn.functional
    plain_flops, plain_bytes = 2.0 * m * k * n, 2.0 * (m * k + k * n + m * n)
    copies = bench.copies_for(plain_bytes)
    sets = []
    for _ in range(copies):
        x = bench.normal(m, k).requires_grad_(step)
        weight, a, b = bench.normal(n, k, deviation=k ** -0.5), bench.normal(r, k, deviation=k ** -0.5), bench.normal(n, r, deviation=0.25)
        sets.append((x, weight, a.requires_grad_(step), b.requires_grad_(step), bench.normal(m, n) if step else None))
    drop = torch.nn.Dropout(dropout)

    def eager(x, weight, a, b):
        return functional.linear(x, weight) + functional.linear(functional.linear(drop(x), a), b) * scale

    def passes(forward, copy):
        x, weight, a, b, dy = sets[copy]
        with torch.set_grad_enabled(step):
            y = forward(x, weight, a, b)
        if step:
            torch.autograd.grad(y, [tensor for tensor in (x, a, b) if tensor.requires_grad], dy, allow_unused=True)
        return y

    def checked(forward, update):
        def check():
            drop.p, before = 0.0, drop.p   # the masks of two generators differ: without dropout all must agree
            try:
                x, weight, a, b, _ = (tensor.detach() if tensor is not None else None for tensor in sets[0])
                rows = x[:32].float()
                expected = rows @ weight.float().T + (scale * (rows @ a.float().T) @ b.float().T if update else 0)
                return bench.compare("y", passes(forward, 0)[:32].detach(), expected)
            finally:
                drop.p = before
        return check

    update_flops = 2.0 * m * r * (k + n)
    work = dict(bytes=plain_bytes * (2 if step else 1), flops=plain_flops * (2 if step else 1) + update_flops * (3 if step else 1))
    plain = lambda x, weight, a, b: functional.linear(x, weight)
    variants = [
        dict(name="torch plain", role="plain", run=lambda copy: passes(plain, copy), check=checked(plain, False), bytes=work["bytes"], flops=plain_flops * (2 if step else 1)),
        dict(name="torch eager", run=lambda copy: passes(eager, copy), check=checked(eager, True), **work),
    ]
    try:
        if peft is None:
            raise ImportError("peft is not installed")
        modules = [peft_layer(torch, peft, bench, tensors, r, scale, dropout) for tensors in sets]

        def run_peft(copy):
            module, (x, _, _, _, dy) = modules[copy], sets[copy]
            with torch.set_grad_enabled(step):
                y = module(x)
            if step:
                torch.autograd.grad(y, [tensor for tensor in [x, *module.parameters()] if tensor.requires_grad], dy, allow_unused=True)
            return y

        def check_peft():
            modules[0].eval()   # no dropout
            try:
                x, weight, a, b, _ = (tensor.detach() if tensor is not None else None for tensor in sets[0])
                rows = x[:32].float()
                return bench.compare("y", run_peft(0)[:32].detach(), rows @ weight.float().T + scale * (rows @ a.float().T) @ b.float().T)
            finally:
                modules[0].train()

        variants.append(dict(name="peft", run=run_peft, check=check_peft, **work))
    except Exception as error:
        variants.append(dict(name="peft", missing=f"{type(error).__name__}: {error}".replace("\n", " ")[:200]))
    bench.scenario(case, target, label, copies, variants)


def peft_layer(torch, peft, bench, tensors, r, scale, dropout):
    _, weight, a, b, _ = tensors
    base = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, device=bench.device, dtype=weight.dtype)
    holder = torch.nn.Sequential()
    holder.add_module("proj", base)
    model = peft.get_peft_model(holder, peft.LoraConfig(r=r, lora_alpha=scale * r, lora_dropout=dropout, target_modules=["proj"], bias="none"), autocast_adapter_dtype=False)
    module = model.base_model.model.proj
    with torch.no_grad():
        module.base_layer.weight.copy_(weight)
        module.lora_A["default"].weight.data = a.detach().clone()
        module.lora_B["default"].weight.data = b.detach().clone()
    return module.train()


def svd(bench):
    side, rank = bench.choose((4096, 64), (4096, 64), (128, 8))
    torch, oversample, iterations = bench.torch, 16, 2
    label = f"{side} x {side} k={rank} p={oversample} q={iterations}"

    def decaying():
        directions = min(96, side // 2)
        left, right = bench.normal(side, directions, deviation=side ** -0.5, dtype=torch.float32), bench.normal(directions, side, deviation=side ** -0.5, dtype=torch.float32)
        right *= side * 0.96 ** torch.arange(directions, device=bench.device, dtype=torch.float32)[:, None]
        return (bench.normal(side, side, deviation=0.02, dtype=torch.float32) + left @ right).to(torch.bfloat16)

    copies = bench.copies_for(2.0 * side * side)
    matrices = [decaying() for _ in range(copies)]
    residual = {}

    def decompose(copy):   # it wants F32: as any user of BF16 weights has to do
        u, s, v = torch.svd_lowrank(matrices[copy].float(), q=rank + oversample, niter=iterations)
        return u[:, :rank], s[:rank], v[:, :rank]

    def check():
        u, s, v = decompose(0)
        exact = matrices[0].float()
        whole, left = torch.linalg.vector_norm(exact).item(), torch.linalg.vector_norm(exact - (u * s) @ v.T).item()
        residual["value"] = left / whole
        gap = abs(left ** 2 + torch.sum(s * s).item() - whole ** 2) / whole ** 2
        return None if gap <= 1e-3 and left < whole else f"relative residual {left / whole:.4g}, squares of values and residual miss those of the matrix by {gap:.3g}"

    passes = 2 + 2 * iterations
    bench.scenario("svd", 8, label, copies, [dict(name="torch.svd_lowrank", run=decompose, check=check, bytes=passes * 2.0 * side * side,
                                                  flops=passes * 2.0 * side * side * (rank + oversample), figures=lambda median: {"residual": residual["value"]})])


def plans(bench, peft):
    """Case, shape and what times it; shapes are named as spectral-bench names them."""
    for side in bench.choose([4096, 5120, 8192], [4096], [64]):
        for m in bench.choose([2048, 4096, 8192], [4096], [40]):
            for step in (False, True):
                label, r = f"{'step' if step else 'forward'} {side}->{side} M={m} r={bench.choose(16, 16, 8)} dropout=0.1", bench.choose(16, 16, 8)
                yield "lorafusion", label, lambda label=label, m=m, side=side, r=r, step=step: layer(bench, "lorafusion", 5, label, m, side, side, r, 0.1, step, peft)
    for k, n in bench.choose([(4096, 4096), (4096, 14336), (14336, 4096)], [(4096, 4096)], [(64, 96)]):
        for m in bench.choose([8192, 4096, 16384], [8192], [40]):
            for r in bench.choose([16, 64], [16], [8]):
                label = f"{k}->{n} M={m} r={r}"
                yield "forward", label, lambda label=label, k=k, n=n, m=m, r=r: layer(bench, "forward", 1, label, m, k, n, r, 0.0, False, peft)
    yield "svd", "", lambda: svd(bench)


def run(arguments):
    try:
        import torch
    except ImportError:
        sys.exit("peers.py: PyTorch is not installed for this python3: nothing to compare with")
    try:
        import peft
    except Exception as error:   # a peft that does not fit its torch fails in many ways
        print(f"peers.py: PEFT cannot be used ({type(error).__name__}: {error}); its lines are left out", file=sys.stderr)
        peft = None
    kind = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if kind == "cuda" and not torch.cuda.is_available():
        sys.exit("peers.py: --device cuda: this PyTorch sees no GPU")
    extent = "smoke" if arguments.smoke or kind == "cpu" else "quick" if arguments.quick else "full"
    device = torch.device(kind)
    torch.manual_seed(1)
    bench = Bench(torch, device, extent)
    now = lambda: datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    name = torch.cuda.get_device_name(device) if bench.cuda else "CPU"
    report = dict(schema=SCHEMA, started=now(), finished=None, complete=False, extent=extent, device=dict(
        name=name, kind="gpu" if bench.cuda else "cpu", warning=None if bench.cuda else CPU_WARNING, torch=torch.__version__, cuda=torch.version.cuda,
        peft=getattr(peft, "__version__", None), python=sys.version.split()[0]), clocks=[], method=dict(source="peers.py, as spectral-bench"), results=bench.results)

    def write(complete):
        report.update(finished=now(), complete=complete)
        if arguments.json:
            with open(arguments.json, "w") as file:
                json.dump(report, file, indent=1, allow_nan=False)

    print(f"{name}, torch {torch.__version__}, peft {getattr(peft, '__version__', 'missing')}, {extent} run, random normal inputs, medians")
    if not bench.cuda:
        print(f"*** {CPU_WARNING} ***")
    print(header())
    started, left = time.monotonic(), 0
    ceilings(bench)
    for case, label, timed in plans(bench, peft):
        if arguments.filter and not any(part.strip().lower() in f"{case} {label}".lower() for part in arguments.filter.split(",")):
            continue
        if arguments.minutes and time.monotonic() - started > 60 * arguments.minutes:
            left += 1
            continue
        timed()
        if bench.cuda:
            torch.cuda.empty_cache()
        write(complete=False)
    if left:
        print(f"{left} shapes left out: --minutes {arguments.minutes:g} were over")
    if not bench.cuda:
        print(f"*** {CPU_WARNING} ***")
    write(complete=left == 0)
    return 1 if any(result["status"] == "FAILED" for result in bench.results) else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write the results to this file, after every shape")
    parser.add_argument("--filter", default="", help="only what has one of these texts in 'case shape', separated by commas")
    parser.add_argument("--quick", action="store_true", help="a few shapes, fewer samples")
    parser.add_argument("--smoke", action="store_true", help="tiny shapes; the only run there is without a GPU")
    parser.add_argument("--device", choices=["cuda", "cpu"], help="default: cuda where PyTorch sees one")
    parser.add_argument("--minutes", type=float, default=0, help="begin no further shape after so many minutes")
    parser.add_argument("--merge", nargs=2, metavar=("OURS", "THEIRS"), help="print two reports as one table and run nothing")
    arguments = parser.parse_args()
    if arguments.merge:
        merge(*arguments.merge)
        return 0
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
