// The part of an analysis that a page contains; docs/spectra.md explains the numbers. Positions count from 1, the
// largest value. A number that is not defined is null.

export type Num = number | null;

export interface SideOfSubspace {
    angles: Num[];
    largest: Num;
    similarity: Num;
}

export interface IntruderCount {
    threshold: number;
    left: number;
    right: number;
    left_positions: number[];
    right_positions: number[];
}

export interface Entries {
    mean: Num;
    standard_deviation: Num;
    skewness: Num;
    excess_kurtosis: Num;
    kolmogorov_smirnov: Num;
    p_value: Num;
}

/** Entries compared with independent ones; rows and columns are mean squared correlations, 1 if independent. */
export interface Independence {
    rows: Num;
    rows_z: Num;
    columns: Num;
    columns_z: Num;
    /** The number of singular values beyond those of independent entries. */
    beyond: number;
    energy_beyond: Num;
    distance: Num;
}

export type States = "base" | "tuned" | "change";

export interface Matrix {
    name: string;
    module: string | null;
    layer: number | null;
    out: number;
    in: number;
    top_k: number;
    svd: { method: string; computed: number; truncated: boolean };
    norms: { relative: Num };
    positions: number[];
    values: Record<States | "relative" | "independent", Num[]>;
    vectors: Record<"matched_left" | "matched_right" | "best_left" | "best_right", Num[]> & {
        clusters: { first: number; last: number }[];
    };
    amplification: { k: number; share: Num; uniform: Num }[];
    subspaces: { k: number; positions: number[]; left: SideOfSubspace; right: SideOfSubspace }[];
    energy: Record<string, Num>[];
    ranks: Record<States, { stable: Num; effective: Num }>;
    intruders: { searched: number; counts: IntruderCount[] };
    entries: Record<States, Entries>;
    independence: Record<States, Independence>;
    null: {
        quantity: string;
        bin: string | null;
        gaussian: { mean: Num; standard_deviation: Num } | null;
        floor: Num;
    }[];
    bins: { bin: string; from: number; to: number }[];
    verdict: Record<string, Num> &
        Record<"amplifies_top" | "reorients_top" | "rest_stable", boolean | null> & { lines: string[] };
}

export interface TracedModule {
    name: string;
    output_norm: Num;
    mean: Num;
    standard_deviation: Num;
    mean_magnitude: Num;
    largest: Num;
    /** The tokens with the largest |h|; records and positions count from 0. */
    top: { record: number; position: number; token: string; value: Num }[];
}

export interface TracedRecord {
    tokens: string[];
    /** The scalars h by module, then token. */
    values: Num[][];
}

/** The scalars of an adapter's rank-1 modules over records. */
export interface Trace {
    data: string;
    tokens: number;
    modules: TracedModule[];
    skipped: string[];
    records: TracedRecord[];
}

export interface Spectra {
    settings: { top_k: number; intruder_search: number; draws: number };
    model: { profile: Num[]; intruders: { threshold: number; left: number; right: number }[] };
    modules: { module: string | null; profile: Num[] }[];
    matrices: Matrix[];
    trace: Trace | null;
}

/** The points whose y is a number. */
export const known = (xs: number[], ys: Num[]): [number, number][] =>
    xs.flatMap((x, i): [number, number][] => (ys[i] === null || ys[i] === undefined ? [] : [[x, ys[i]!]]));

/** The entry of a list for the k that verdicts use. */
export const atTop = <T extends { k: number }>(matrix: Matrix, entries: T[]): T | undefined =>
    entries.find((entry) => entry.k === matrix.top_k);
