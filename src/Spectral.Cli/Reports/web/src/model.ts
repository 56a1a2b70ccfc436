// What a chart shows. A report's data holds such objects as JSON, or a page makes them of the data it has.

/**
 * How values are laid out; "auto" is logarithmic where they are positive and differ by more than a factor of twenty.
 */
export type ScaleKind = "auto" | "linear" | "log";

export interface Axis {
    /** The quantity, with its unit. */
    label: string;
    scale?: ScaleKind;
    /** Whether a linear axis starts at zero; it does unless this is false. */
    zero?: boolean;
}

interface Common {
    /** Names the chart in its page's address. */
    id: string;
    title: string;
    /** A sentence on what is seen. */
    explanation?: string;
}

/** Points of a name, in the order of x. */
export interface Series {
    name: string;
    /** Which colour and kind of line; the same slot is the same thing in every chart of a page. */
    slot: number;
    points: [x: number, y: number][];
    /** A range of y at each point. */
    band?: [low: number, high: number][];
    /**
     * raw: thin and faint, behind the others; dots: each point is marked as well; marks: points alone; band: the range
     * alone.
     */
    look?: "line" | "raw" | "dots" | "marks" | "band";
    /** What a point is, where its x does not say it. */
    notes?: string[];
}

export interface Curves extends Common {
    kind: "curves";
    x: Axis;
    y: Axis;
    series: Series[];
    /** Ranges of x that are set apart. */
    spans?: [from: number, to: number][];
    /** Whether the page, not the chart, says which line is which. */
    keyed?: boolean;
}

/** A row of values for each name, and a stroke at their mean. */
export interface Strip extends Common {
    kind: "strip";
    value: Axis;
    /** What one dot is: "seed". */
    each: string;
    /** Whether the row is a set of places, which has no mean. */
    spread?: boolean;
    rows: { name: string; slot: number; values: [label: string, value: number][] }[];
}

/** Values by row and column, by colour. */
export interface Grid extends Common {
    kind: "grid";
    rows: string[];
    columns: string[];
    rowLabel: string;
    value: Axis;
    /** diverging: from zero to both sides; sequential: from the least to the largest. */
    colour: "sequential" | "diverging";
    /** By row, then column; null where there is none. */
    cells: (number | null)[][];
}

export type Chart = Curves | Strip | Grid;

/** A place in a chart that a pointer or the keyboard can choose. */
export interface Target {
    /** In pixels of the drawing. */
    x: number;
    y: number;
    /** What it is. */
    name: string;
    /** What it says. */
    value: string;
}

export interface Drawing {
    svg: SVGSVGElement;
    /** Rows of targets: left and right move along a row, up and down between rows. */
    targets: Target[][];
}

/** A table of the same data. */
export interface DataTable {
    columns: string[];
    rows: (string | number | null)[][];
}
