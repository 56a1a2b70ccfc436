import type { Curves, Grid } from "../model";
import type { Quantity } from "./quantities";
import { known, type Spectra } from "./types";

/** The mean growth of singular values along the spectrum, for the whole model and for each type of module. */
export function profile({ model, modules }: Spectra): Curves {
    const part = 100 / model.profile.length;
    const places = model.profile.map((_, i) => (i + 0.5) * part);
    const percent = (values: (number | null)[]) => values.map((value) => (value === null ? null : 100 * value));
    return {
        kind: "curves",
        id: "profile",
        title: "Growth of singular values along the spectrum",
        explanation:
            `Mean relative change of the singular values in ${model.profile.length} equal parts of the spectrum, ` +
            "the largest values on the left.",
        x: { label: "part of the spectrum, %" },
        y: { label: "mean growth, %", scale: "linear" },
        series: [
            ...modules.map((module, i) => ({
                name: module.module ?? "other",
                slot: i + 1,
                points: known(places, percent(module.profile)),
            })),
            { name: "all matrices", slot: 0, look: "dots" as const, points: known(places, percent(model.profile)) },
        ],
    };
}

/** A quantity by layer and module; matrices without a layer have a row of their own. */
export function heatMap({ matrices }: Spectra, quantity: Quantity): Grid {
    const columns = [...new Set(matrices.map((matrix) => matrix.module ?? matrix.name))];
    const layers = [...new Set(matrices.map((matrix) => matrix.layer))].sort(
        (a, b) => (a ?? Infinity) - (b ?? Infinity),
    );
    return {
        kind: "grid",
        id: "heat-map",
        title: `Layers × modules: ${quantity.label}`,
        explanation: quantity.explanation,
        rowLabel: "layer",
        rows: layers.map((layer) => (layer === null ? "none" : String(layer))),
        columns,
        value: { label: quantity.label, zero: false },
        colour: quantity.colour,
        cells: layers.map((layer) =>
            columns.map((column) => {
                const matrix = matrices.find((one) => one.layer === layer && (one.module ?? one.name) === column);
                return matrix ? quantity.of(matrix) : null;
            }),
        ),
    };
}

/** The number of intruder dimensions by the threshold of |cos|. */
export function intruderCounts({ model, settings, matrices }: Spectra): Curves {
    const side = (name: "left" | "right", slot: number) => ({
        name,
        slot,
        look: "dots" as const,
        points: model.intruders.map((count): [number, number] => [count.threshold, count[name]]),
    });
    return {
        kind: "curves",
        id: "intruders",
        title: "Intruder dimensions",
        explanation:
            "Tuned singular vectors whose |cos| with every vector of the base matrix is below a threshold, among " +
            `the first ${settings.intruder_search} of each of ${matrices.length} matrices.`,
        x: { label: "threshold of |cos|", scale: "linear", zero: false },
        y: { label: "vectors", scale: "linear" },
        series: [side("left", 0), side("right", 1)],
    };
}
