#!/usr/bin/env python3
"""The table of cache formats in docs/performance.md and its plot, made anew: quality on the embedded world, speed on a GPU.

    ./wander bench                      set up, build, and everything that this machine can measure
    cache_table.py --results DIR        from the files of an earlier run, wherever that was
    cache_table.py -- --device cpu --scripts 4        words after -- go to cache_quality_bench

Runs build/release/bin/cache_quality_bench (quality.json, quality.md; for a few formats with several seeds, quality_seed*.json) and, where there is an NVIDIA GPU,
build/release/bin/attend_gpu_bench (gpu.json, gpu_fp8.json), keeps their files in build/bench, rewrites what stands between the marks
"<!-- cache quality -->", "<!-- cache seeds -->" and "<!-- cache speed -->" and their ends in docs/performance.md, and draws docs/images/cache_methods.png
(needs python3-matplotlib). A part without results stays as it is.
"""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/performance.md"
PLOT = ROOT / "docs/images/cache_methods.png"
QUALITY_HELP = """Every format against the uncompressed walk with the same noise, free runs (an error feeds back into all that follows), mean over scripts ± the 95 % interval. `bits`: 8 x bytes of
packed pages / their values, everything counted; `pages`, `cache`: how much smaller than BF16 packed pages and the whole cache at the end are (window not yet full); W0: the first
chunk that reads a packed page (earlier or later where a rule packs earlier or later); W1: the three after it; rest: what follows. PSNR is that of the mean squared error over a window's frames, SSIM Gaussian 11x11 on luma. Below 20 dB: scripts with
such a chunk, and the first of them. Drift: mean luma / saturation / variance of the Laplacian of the last 16 frames, minus BF16's. Floor: the uncompressed walk itself, its sums in another
order, or in the other arithmetic; nothing can be judged above the first. LPIPS is missing: its weights are not at hand."""


# Formats of about two bits with several seeds of the noise; pca2 beside int2 with as many centroids as give it pca2's bits.
SEEDS = (7, 8, 9)
SEED_VARIANTS = ("kivi2", "qvg-int2", "int2", "int2+centroids14", "pca2")
SEEDS_HELP = """The formats that the choice of a default lies between, with three seeds of the noise: mean over all scripts and seeds ± the 95 % interval, and the means of each seed. `int2+centroids14` is `int2` with 14
instead of 4 centroids a head and page, which is about `pca2`'s bits. `better`: scripts and seeds in which it is above `int2`."""


def replace_block(text, mark, body):
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        sys.exit(f"cache_table: docs/performance.md must have '{begin}' and after it '{end}', each once")
    head, rest = text.split(begin)
    return head + begin + "\n" + body.strip() + "\n" + end + rest.split(end)[1]


def run(words):
    print("cache_table: " + shlex.join(str(word) for word in words), file=sys.stderr, flush=True)
    return subprocess.run(words, check=False, stdout=subprocess.DEVNULL).returncode


def measure(options, folder):
    folder.mkdir(parents=True, exist_ok=True)
    programs = options.build.resolve() / "bin"
    failed = []
    words = [programs / "cache_quality_bench", "--json", folder / "quality.json", "--markdown", folder / "quality.md", *options.words]
    if run(words) != 0:
        failed.append("cache_quality_bench")
    for seed in SEEDS:
        words = ["--seed", seed, "--formats", ",".join(SEED_VARIANTS), "--no-floors", "--json", folder / f"quality_seed{seed}.json"]
        if run([programs / "cache_quality_bench", *map(str, words), *options.words]) != 0:
            failed.append(f"cache_quality_bench --seed {seed}")
    gpu = programs / "attend_gpu_bench"
    if Path("/dev/nvidia0").exists() and gpu.exists() and not options.no_gpu:
        names = [v["name"] for v in json.loads((folder / "quality.json").read_text())["variants"] if "+" not in v["name"]]
        if run([gpu, "--formats", ",".join(["bf16", *names]), "--out", folder / "gpu.json"]) != 0:
            failed.append("attend_gpu_bench")
        if run([gpu, "--formats", ",".join(["bf16", *names]), "--layers", "0", "--attention", "fp8", "--out", folder / "gpu_fp8.json"]) != 0:
            failed.append("attend_gpu_bench --attention fp8")
    return failed


def quality_block(folder):
    command = "./wander bench"
    table = (folder / "quality.md").read_text()
    plot = f"\n![PSNR of every cache format against its bits](images/{PLOT.name})\n"
    return f"`{command}` makes this table and the plot. {QUALITY_HELP}\n\n{table}{plot}"


def mean_and_interval(values):
    """Of some thirty values."""
    mean = sum(values) / len(values)
    spread_of = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
    return f"{mean:.1f} ± {1.96 * spread_of / len(values) ** 0.5:.1f}"


def seeds_block(reports):
    """One row a variant. reports: of the same variants and scripts, one for each seed."""
    windows = ("w0", "w1", "rest")
    by_name = [{v["name"]: v for v in report["variants"]} for report in reports]

    def psnr(name, window):
        return [script[window]["psnr_db"] for variants in by_name for script in variants[name]["scripts"]]

    lines = ["| format | bits | " + " | ".join(f"{w} dB | by seed" for w in ("W0", "W1", "rest")) + " | better in W0, W1, rest |"]
    lines.append("|" + " --- |" * 9)
    for name, variant in by_name[0].items():
        row = [f"{variant['label']} (`{name}`)", f"{variant['effective_bits']:.2f}"]
        for window in windows:
            row += [mean_and_interval(psnr(name, window)), ", ".join(f"{v[name][window]['psnr_db']['mean']:.1f}" for v in by_name)]
        better = [sum(a > b for a, b in zip(psnr(name, w), psnr("int2", w))) for w in windows]
        row.append("-" if name == "int2" else ", ".join(str(count) for count in better) + f" of {len(psnr(name, 'w0'))}")
        lines.append("| " + " | ".join(row) + " |")
    seeds = ", ".join(str(report["seed"]) for report in reports)
    scripts = len(next(iter(by_name[0].values()))["scripts"])
    where = f"{scripts} scripts of {reports[0]['chunks']} chunks with seeds {seeds}, {reports[0]['device']}, {reports[0]['precision']}."
    return SEEDS_HELP + "\n\n" + where + "\n\n" + "\n".join(lines)


def number(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


SPEED_HELP = """One layer-forward of attention at the 1.3B shape (4,680 queries, 12 heads x 128), everything counted: turning, unpacking, merging of slices. `of cuDNN`: against cuDNN's BF16 attention
over one dense cache of keys that are turned already, which nothing has to be done to ({dense}); below 1 the packed history is faster than that. FP8: the same pages expanded to
E4M3 (`--attention fp8`). `cache at 168`: the whole cache after 168 latents with sink and newest chunk in BF16, the chunk at work not counted, against BF16. `HY`: packed pages of HY-WorldPlay's shape against its doubled BF16
layout. `pack ms`: of all 60 pages of a chunk, at every chunk (median; most). Saved: at the peak, 30 layers, window 42, by torch's allocator and by the ledger; the bench fails where they are more than max(64 MiB, 1 %) apart."""


def speed_block(report, fp8):
    """One row a format; attend_gpu_bench's keys. fp8: the same bench with --attention fp8, or None."""
    of_fp8 = {entry["name"]: entry for entry in fp8["formats"]} if fp8 else {}
    lengths = [length for length in ("42", "180") if length in report["dense"]]
    head = ["format"] + [f"{length} latents ms" for length in lengths] + [f"of cuDNN at {length}" for length in lengths]
    head += [f"FP8 at {length}" for length in lengths if fp8]
    head += ["cache at 168", "HY", "pack ms", "pack GB/s", "unpack GB/s", "saved MiB", "by the ledger"]
    rows = []
    for entry in report["formats"]:
        forward, memory = entry.get("forward", {}), entry.get("memory", {})
        row = [entry["label"]]
        row += [number(forward.get(length, {}).get("ms"), 2) for length in lengths]
        row += [number(forward.get(length, {}).get("of_cudnn"), 2) for length in lengths]
        if fp8:
            other = of_fp8.get(entry["name"], {}).get("forward", {})
            row += [number(other.get(length, {}).get("of_cudnn"), 2) for length in lengths]
        row += [number(forward.get("168", {}).get("cache_ratio"), 2), number(entry.get("hy_doubled_layout_ratio"), 1)]
        row += [f"{number(memory.get('encode_ms_per_group'), 1)}; {number(memory.get('encode_ms_most'), 1)}"]
        row += [number(memory.get(key), 0) for key in ("pack_gb_per_s", "unpack_gb_per_s", "saved_allocator_mib", "saved_ledger_mib")]
        rows.append(row)
    dense = ", ".join(f"{report['dense'][length]['cudnn_ms']:.2f} ms at {length} latents" for length in lengths)
    lines = [f"{report['device']}. " + SPEED_HELP.format(dense=dense), ""]
    lines += ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


FAMILIES = [  # as the window colours them (gui/plain/format_family.cpp, gui/theme.hpp)
    (("fp8", "int8", "prq"), "8 bit", "#9283c8"),
    (("int4", "rtn", "nvfp4"), "rounding", "#d6aa60"),
    (("kivi", "k4v2"), "KIVI", "#54a4e2"),
    (("quarot",), "rotated", "#d67694"),
    (("int2", "qvg"), "k-means", "#63d2bf"),
    (("pca",), "PCA", "#80b860"),
    (("prune", "soft"), "pruned", "#de804a"),
]


def family_of(name):
    for prefixes, label, colour in FAMILIES:
        if name.startswith(prefixes):
            return label, colour
    return "packed", "#687585"


def spread(wanted, gap):
    """Heights for labels: near what they want, at least `gap` apart, the order kept."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    clusters = []  # [members, middle]
    for i in order:
        clusters.append([[i], wanted[i]])
        while len(clusters) > 1:
            below, above = clusters[-2], clusters[-1]
            room = gap * (len(below[0]) + len(above[0])) / 2
            if above[1] - below[1] >= room:
                break
            members = below[0] + above[0]
            clusters[-2:] = [[members, sum(wanted[m] for m in members) / len(members)]]
    heights = [0.0] * len(wanted)
    for members, middle in clusters:
        for place, i in enumerate(members):
            heights[i] = middle + gap * (place - (len(members) - 1) / 2)
    return heights


def draw_panel(axes, report, window, title):
    variants = [v for v in report["variants"] if v["effective_bits"] > 0]
    floor = report["floors"][0][window]["psnr_db"]["mean"]
    axes.axhline(floor, color="#8c949e", linewidth=1, linestyle=(0, (4, 3)))
    axes.text(0.01, floor, "noise floor", color="#8c949e", fontsize=8, ha="left", va="bottom", transform=axes.get_yaxis_transform())
    points = [(v["effective_bits"], v[window]["psnr_db"]["mean"], v[window]["psnr_db"]["interval95"], v) for v in variants]
    tops = [floor] + [p[1] for p in points]
    low, high = min(tops) - 3, max(tops) + 2
    axes.set_ylim(low, high)
    axes.set_xscale("log", base=2)
    left, right = min(p[0] for p in points), max(p[0] for p in points)
    axes.set_xlim(left / 1.55, right * 1.08)  # room for the names of the smallest
    ticks = [t for t in (2, 2.5, 3, 4, 5, 6, 8, 10) if left / 1.2 <= t <= right * 1.08]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.grid(color="#26292f", linewidth=0.8)
    axes.set_axisbelow(True)
    for bits, db, interval, v in points:
        _, colour = family_of(v["format"])
        plain = "+" not in v["name"]
        axes.errorbar(bits, db, yerr=interval, color=colour, alpha=0.25, linewidth=1)
        axes.scatter(bits, db, s=34, color=colour if plain else "#15171b", edgecolors=colour, linewidths=1.4, zorder=3)
    # Names in a column beside each crowd of points, joined to them by thin lines: left of the smallest and of the largest.
    for crowd in crowds(points):
        on_left = crowd[0][0] == left or crowd[-1][0] == right
        x = min(p[0] for p in crowd) / 1.06 if on_left else max(p[0] for p in crowd) * 1.045
        heights = spread([p[1] for p in crowd], (high - low) / 27)
        for (bits, db, _, v), height in zip(crowd, heights):
            _, colour = family_of(v["format"])
            axes.annotate(v["name"], (bits, db), (x, height), fontsize=7.5, color=colour, zorder=4, va="center", ha="right" if on_left else "left",
                          bbox={"facecolor": "#15171b", "edgecolor": "none", "pad": 0.8},
                          arrowprops={"arrowstyle": "-", "color": colour, "alpha": 0.35, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 3})
    axes.set_title(title, color="#dadee3", fontsize=10, loc="left")
    axes.set_xlabel("bits a value, everything counted", color="#8c949e", fontsize=9)
    axes.tick_params(colors="#8c949e", labelsize=8)
    for side in axes.spines.values():
        side.set_color("#26292f")


def crowds(points):
    """Points whose bits are near each other share a column of names."""
    groups = []
    for point in sorted(points, key=lambda p: p[0]):
        if groups and point[0] / groups[-1][0][0] < 1.3:
            groups[-1].append(point)
        else:
            groups.append([point])
    return groups


def draw(report):
    try:
        import matplotlib
    except ImportError:
        sys.exit("cache_table: the plot needs matplotlib: install python3-matplotlib (./wander bench does), or pass --no-plot")
    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.lines import Line2D

    figure, panels = pyplot.subplots(1, 2, figsize=(13.5, 6.4), facecolor="#15171b")
    for axes, (window, title) in zip(panels, (("w0", "W0: the first chunk that reads packed pages"), ("w1", "W1: the next three chunks"))):
        axes.set_facecolor("#15171b")
        draw_panel(axes, report, window, title)
    panels[0].set_ylabel("PSNR against the uncompressed walk, dB", color="#8c949e", fontsize=9)
    shown = {family_of(v["format"]) for v in report["variants"]}
    marks = [Line2D([], [], marker="o", linestyle="", color=colour, label=label) for _, label, colour in FAMILIES if (label, colour) in shown]
    marks.append(Line2D([], [], marker="o", linestyle="", markerfacecolor="none", color="#8c949e", label="with another rule"))
    figure.legend(handles=marks, loc="lower center", ncol=len(marks), frameon=False, labelcolor="#dadee3", fontsize=8.5)
    figure.subplots_adjust(left=0.055, right=0.985, top=0.94, bottom=0.145, wspace=0.12)
    figure.savefig(PLOT, dpi=110, facecolor=figure.get_facecolor())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--results", type=Path, help="measure nothing; take quality.json, quality.md, gpu.json, gpu_fp8.json of this folder")
    parser.add_argument("--no-gpu", action="store_true", help="leave the GPU bench out")
    parser.add_argument("--no-plot", action="store_true")
    parser.add_argument("words", nargs="*", help="for cache_quality_bench, after --")
    options = parser.parse_args()
    folder = options.results or ROOT / "build/bench"
    failed = [] if options.results else measure(options, folder)
    page = PAGE.read_text()
    if (folder / "quality.json").exists():
        report = json.loads((folder / "quality.json").read_text())
        page = replace_block(page, "cache quality", quality_block(folder))
        if not options.no_plot:
            draw(report)
    of_seeds = [folder / f"quality_seed{seed}.json" for seed in SEEDS]
    if all(file.exists() for file in of_seeds):
        page = replace_block(page, "cache seeds", seeds_block([json.loads(file.read_text()) for file in of_seeds]))
    if (folder / "gpu.json").exists():
        fp8 = json.loads((folder / "gpu_fp8.json").read_text()) if (folder / "gpu_fp8.json").exists() else None
        page = replace_block(page, "cache speed", speed_block(json.loads((folder / "gpu.json").read_text()), fp8))
    PAGE.write_text(page)
    if failed:
        sys.exit(f"cache_table: {' and '.join(failed)} did not end well; the table shows what there is")


if __name__ == "__main__":
    main()
