// What a chart shows. The data of a page contains such objects as JSON, or the script makes them from its data.

/**
 * The scale of an axis; "auto" is logarithmic if all values are positive and they span more than a factor of twenty.
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
    /** The name of the chart in the page's address and in file names. */
    id: string;
    title: string;
    /** A sentence on how to read the chart. */
    explanation?: string;
}

/** A named series of points, in order of x. */
export interface Series {
    name: string;
    /** The index of its colour and kind of line; a slot means the same in every chart of a page. */
    slot: number;
    points: [x: number, y: number][];
    /** The range of y at each point. */
    band?: [low: number, high: number][];
    /**
     * raw: thin and faint, behind the others; dots: each point is marked as well; marks: points alone; band: the range
     * alone.
     */
    look?: "line" | "raw" | "dots" | "marks" | "band";
    /** Names for the points, if their x does not name them. */
    notes?: string[];
}

export interface Curves extends Common {
    kind: "curves";
    x: Axis;
    y: Axis;
    series: Series[];
    /** Ranges of x that are shaded. */
    spans?: [from: number, to: number][];
    /** Whether the page has the legend, so that the chart needs none. */
    keyed?: boolean;
}

/** A row of values for each name, and a stroke at their mean. */
export interface Strip extends Common {
    kind: "strip";
    value: Axis;
    /** What one dot stands for, such as "seed". */
    each: string;
    /** Whether the values are positions, whose mean has no meaning. */
    spread?: boolean;
    rows: { name: string; slot: number; values: [label: string, value: number][] }[];
}

/** A heat map: values by row and column, shown as colours. */
export interface Grid extends Common {
    kind: "grid";
    rows: string[];
    columns: string[];
    rowLabel: string;
    value: Axis;
    /** diverging: from zero to both sides; sequential: from the smallest value to the largest. */
    colour: "sequential" | "diverging";
    /** The values by row, then column; null where there is none. */
    cells: (number | null)[][];
}

export type Chart = Curves | Strip | Grid;

/** A point of a chart that the pointer or the keyboard can select. */
export interface Target {
    /** The place, in pixels of the drawing. */
    x: number;
    y: number;
    /** What the point is. */
    name: string;
    /** The value to show. */
    value: string;
}

export interface Drawing {
    svg: SVGSVGElement;
    /** Rows of targets: left and right move along a row, up and down between rows. */
    targets: Target[][];
}

/** The data of a chart as a table. */
export interface DataTable {
    columns: string[];
    rows: (string | number | null)[][];
}
