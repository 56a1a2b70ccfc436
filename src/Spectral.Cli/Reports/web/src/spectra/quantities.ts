import type { Grid } from "../model";
import { atTop, type IntruderCount, type Matrix, type Num, type Spectra } from "./types";

/** A figure of each matrix, for the heat map and the table. */
export interface Quantity {
    label: string;
    /** The head of its column in the table. */
    head: string;
    explanation: string;
    colour: Grid["colour"];
    of(matrix: Matrix): Num;
}

const energy =
    (part: string) =>
    (matrix: Matrix): Num => {
        const share = matrix.energy.find((entry) => entry["k"] === matrix.top_k)?.[part];
        return share === null || share === undefined ? null : 100 * share;
    };

/** The number of intruders on both sides, among the largest singular values. */
export const intruders = (count: IntruderCount | undefined): Num => (count ? count.left + count.right : null);

export function quantities({ settings: { top_k: top, intruder_search: searched }, model }: Spectra): Quantity[] {
    const middle = model.intruders[Math.floor(model.intruders.length / 2)]?.threshold;
    return [
        {
            label: "relative change ‖Δ‖/‖W‖",
            head: "‖Δ‖/‖W‖",
            explanation: "Frobenius norm of the change relative to that of the base matrix.",
            colour: "sequential",
            of: (m) => m.norms.relative,
        },
        {
            label: `amplification of the top ${top}, z`,
            head: "top, z",
            explanation:
                `Growth of the top ${top} singular values as a share of the total change, in standard deviations ` +
                "from random changes of the same size.",
            colour: "diverging",
            of: (m) => m.verdict["amplification_z"] ?? null,
        },
        {
            label: `share of the change in the top ${top}`,
            head: "top share",
            explanation: `Growth of the top ${top} singular values, as a share of the change of all singular values.`,
            colour: "sequential",
            of: (m) => atTop(m, m.amplification)?.share ?? null,
        },
        {
            label: `largest angle of the top ${top} left vectors, degrees`,
            head: "angle left",
            explanation:
                "Largest principal angle between the subspaces on the output side before and after: 0 is the " +
                "same subspace, 90 means a new direction.",
            colour: "sequential",
            of: (m) => atTop(m, m.subspaces)?.left.largest ?? null,
        },
        {
            label: `largest angle of the top ${top} right vectors, degrees`,
            head: "angle right",
            explanation: "The same on the input side.",
            colour: "sequential",
            of: (m) => atTop(m, m.subspaces)?.right.largest ?? null,
        },
        {
            label: `similarity of the top ${top} left subspaces`,
            head: "similarity left",
            explanation: "Mean squared cosine of the principal angles: 1 is the same subspace.",
            colour: "sequential",
            of: (m) => atTop(m, m.subspaces)?.left.similarity ?? null,
        },
        {
            label: `energy of Δ in the top ${top}, %`,
            head: "energy top, %",
            explanation:
                `Share of ‖Δ‖² that maps the top ${top} right vectors to the top ${top} left vectors of the base ` +
                "matrix.",
            colour: "sequential",
            of: energy("top_top"),
        },
        {
            label: `energy of Δ outside the top ${top}, %`,
            head: "energy rest, %",
            explanation: `Share of ‖Δ‖² that neither starts nor ends in the top ${top} vectors of the base matrix.`,
            colour: "sequential",
            of: energy("bottom_bottom"),
        },
        {
            label: `intruders among the first ${searched}, |cos| < ${middle ?? "–"}`,
            head: "intruders",
            explanation:
                `Tuned singular vectors among the first ${searched}, left and right, that resemble no vector of ` +
                "the base matrix.",
            colour: "sequential",
            of: (m) => intruders(m.intruders.counts.find((count) => count.threshold === middle)),
        },
        {
            label: "growth of the stable rank, %",
            head: "stable rank, %",
            explanation: "Change of the stable rank ‖W‖²/σ₁²; if it is negative, the largest value dominates more.",
            colour: "diverging",
            of: (m) => growth(m.ranks.base.stable, m.ranks.tuned.stable),
        },
        {
            label: "growth of the effective rank, %",
            head: "effective rank, %",
            explanation: "Change of the effective rank, the exponential of the entropy of the singular values.",
            colour: "diverging",
            of: (m) => growth(m.ranks.base.effective, m.ranks.tuned.effective),
        },
        {
            label: "stable rank of Δ",
            head: "stable rank of Δ",
            explanation: "‖Δ‖²/σ₁(Δ)²: over how many directions the change is spread.",
            colour: "sequential",
            of: (m) => m.ranks.change.stable,
        },
        {
            label: "excess kurtosis of the tuned entries",
            head: "kurtosis",
            explanation: "0 for a Gaussian; above, entries have heavier tails.",
            colour: "diverging",
            of: (m) => m.entries.tuned.excess_kurtosis,
        },
        {
            label: "correlation of the tuned rows (1 if independent)",
            head: "rows",
            explanation: "Mean squared correlation of two rows, divided by that of independent entries.",
            colour: "sequential",
            of: (m) => m.independence.tuned.rows,
        },
        {
            label: "tuned singular values beyond those of independent entries",
            head: "beyond",
            explanation:
                "Singular values above the largest one that independent Gaussian entries of the same variance give " +
                "(exceeded in 1 % of such matrices).",
            colour: "sequential",
            of: (m) => m.independence.tuned.beyond,
        },
    ];
}

const growth = (before: Num, after: Num): Num =>
    before === null || after === null || before === 0 ? null : 100 * (after / before - 1);
