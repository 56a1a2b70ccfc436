import { tick } from "../chart/numbers";
import type { Curves, Series, Strip } from "../model";
import { known, type Matrix, type States } from "./types";

// Far below the law for all but square matrices; an update of low rank has only rounding errors there.
const LEAST_SHOWN = 0.001;

const POSITION = { label: "position, largest value first", scale: "log" as const };

/** Makes the charts of one matrix. */
export const chartsOf = (matrix: Matrix, draws: number): (Curves | Strip)[] => [
    values(matrix),
    growth(matrix, draws),
    alignment(matrix),
    energy(matrix),
    intruders(matrix),
    independence(matrix),
];

function values(matrix: Matrix): Curves {
    const { positions, svd } = matrix;
    const shown = positions.length < svd.computed ? ` ${positions.length} of ${svd.computed} positions are drawn.` : "";
    return {
        kind: "curves",
        id: "singular-values",
        title: "Singular values before and after",
        explanation: (svd.truncated ? `The ${svd.computed} largest, randomized SVD.` : "The whole spectrum.") + shown,
        x: POSITION,
        y: { label: "singular value", scale: "log" },
        series: [
            { name: "base", slot: 0, points: known(positions, matrix.values.base) },
            { name: "tuned", slot: 1, points: known(positions, matrix.values.tuned) },
        ],
    };
}

/** The spectra in units of the entries' deviation, so that independent entries give one curve for all. */
function independence(matrix: Matrix): Curves {
    const { positions, values, entries } = matrix;
    const size = Math.sqrt(Math.max(matrix.out, matrix.in));
    const of = (state: States): [number, number][] =>
        known(positions, values[state])
            .map(([x, value]): [number, number] => [x, value / (size * (entries[state].standard_deviation || NaN))])
            .filter(([, value]) => value >= LEAST_SHOWN);
    return {
        kind: "curves",
        id: "marchenko-pastur",
        title: "Spectra against independent entries",
        explanation:
            "Singular values divided by √max(out, in) times the standard deviation of the entries. The law of " +
            `Marchenko and Pastur says how those of independent entries lie. Values below ${LEAST_SHOWN} are left out.`,
        x: POSITION,
        y: { label: "singular value, scaled", scale: "log" },
        series: [
            { name: "independent entries", slot: 7, points: known(positions, values.independent) },
            { name: "base", slot: 0, points: of("base") },
            { name: "tuned", slot: 1, points: of("tuned") },
            { name: "Δ", slot: 2, points: of("change") },
        ],
    };
}

/** The relative change, with the range that random changes of the same size give and the change by rounding alone. */
function growth(matrix: Matrix, draws: number): Curves {
    const band: Series = {
        name: "random changes of this size, ±2 deviations",
        slot: 7,
        look: "band",
        points: [],
        band: [],
    };
    const floor: Series = { name: "rounding", slot: 7, look: "raw", points: [] };
    for (const bin of matrix.bins) {
        const entry = matrix.null.find((one) => one.quantity === "relative" && one.bin === bin.bin);
        const random = entry?.gaussian;
        if (bin.to <= bin.from) continue;
        for (const x of [Math.max(1, bin.from + 0.5), bin.to + 0.5]) {
            if (random && random.mean !== null && random.standard_deviation !== null) {
                band.points.push([x, 100 * random.mean]);
                band.band!.push([
                    100 * (random.mean - 2 * random.standard_deviation),
                    100 * (random.mean + 2 * random.standard_deviation),
                ]);
            }
            if (entry && entry.floor !== null) floor.points.push([x, 100 * entry.floor]);
        }
    }
    const against =
        band.points.length > 0
            ? ` The band is the mean of ${draws} random changes of the same size, over parts of the spectrum.`
            : "";
    return {
        kind: "curves",
        id: "growth",
        title: "Relative change of singular values",
        explanation: `(tuned − base) / base at each position.${against}`,
        x: POSITION,
        y: { label: "growth, %", scale: "linear" },
        series: [
            band,
            floor,
            {
                name: "this matrix",
                slot: 0,
                points: known(
                    matrix.positions,
                    matrix.values.relative.map((value) => (value === null ? null : 100 * value)),
                ),
            },
        ].filter((series) => series.points.length > 0),
    };
}

function alignment(matrix: Matrix): Curves {
    const of = (
        key: "matched_left" | "matched_right" | "best_left" | "best_right",
        name: string,
        slot: number,
    ): Series => ({ name, slot, points: known(matrix.positions, matrix.vectors[key]) });
    const clusters = matrix.vectors.clusters;
    return {
        kind: "curves",
        id: "alignment",
        title: "Singular vectors before and after",
        explanation:
            "|cos| of each tuned vector with the base vector at the same position (matched) and with the " +
            "nearest base vector (best)." +
            (clusters.length > 0
                ? " Shaded: values so close together that only the span of their vectors is determined."
                : ""),
        x: POSITION,
        y: { label: "|cos|", scale: "linear" },
        spans: clusters.map((cluster) => [cluster.first, cluster.last]),
        series: [
            of("matched_left", "matched, left", 0),
            of("matched_right", "matched, right", 1),
            of("best_left", "best, left", 8),
            of("best_right", "best, right", 9),
        ],
    };
}

export function angles(matrix: Matrix, side: "left" | "right"): Curves {
    return {
        kind: "curves",
        id: "angles",
        title: `Principal angles between top subspaces, ${side}`,
        explanation:
            "Angles between the spans of the first k singular vectors before and after, in ascending order: 0° " +
            "is a shared direction, 90° is a new one.",
        x: { label: "index of the angle" },
        y: { label: "angle, degrees", scale: "linear" },
        series: matrix.subspaces.map((space, slot) => ({
            name: `top ${space.k}`,
            slot,
            look: space.k < 20 ? "dots" : "line",
            points: known(space.positions, space[side].angles),
        })),
    };
}

function energy(matrix: Matrix): Curves {
    const parts = [
        ["top_top", "top to top"],
        ["top_bottom", "rest to top"],
        ["bottom_top", "top to rest"],
        ["bottom_bottom", "rest to rest"],
    ] as const;
    const of = (prefix: string, look: Series["look"], suffix: string) =>
        parts.map(([key, name], slot): Series => ({
            name: name + suffix,
            slot,
            ...(look ? { look } : {}),
            points: known(
                matrix.energy.map((entry) => entry["k"]!),
                matrix.energy.map((entry) => (entry[prefix + key] == null ? null : 100 * entry[prefix + key]!)),
            ),
        }));
    return {
        kind: "curves",
        id: "energy",
        title: "Where the change lies",
        explanation:
            "Share of ‖Δ‖² by the singular vectors of the base matrix: from which right vectors to which left " +
            "vectors, where top means the first k. Faint: a random Δ.",
        x: { label: "k", scale: "log" },
        y: { label: "share of the energy, %", scale: "linear" },
        series: [...of("random_", "raw", ", random"), ...of("", "dots", "")],
    };
}

function intruders(matrix: Matrix): Strip {
    const rows = matrix.intruders.counts.flatMap((count) =>
        (["left", "right"] as const).map((side, slot) => ({
            name: `< ${tick(count.threshold)}, ${side}`,
            slot,
            values: count[`${side}_positions`].map((position): [string, number] => [String(position), position]),
        })),
    );
    return {
        kind: "strip",
        id: "intruder-positions",
        title: "Where the intruders are",
        explanation:
            "Positions in the tuned spectrum of vectors whose |cos| with every base vector is below the " +
            "threshold; each row shows the first 40.",
        value: { label: "position, largest value first", scale: "log", zero: false },
        each: "position",
        rows,
        spread: true,
    };
}
