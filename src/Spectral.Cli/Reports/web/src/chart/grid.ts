import * as Plot from "@observablehq/plot";
import type { DataTable, Drawing, Grid, Target } from "../model";
import { empty } from "./curves";
import { exact, shortened, tick } from "./numbers";
import { fit } from "./scale";

const LETTER = 7.2;
const MOST_LETTERS = 14;
const STEPS = 24;
const KEY = 46;
const TOP = 30;

interface Cell {
    row: number;
    column: number;
    value: number;
}

/**
 * Draws a heat map and its scale. Values are opacities of a colour, so that on a light page as on a dark one the
 * smallest value is close to the page and the largest is the full colour.
 */
export function drawGrid(chart: Grid, width: number): Drawing {
    const cells = chart.cells.flatMap((row, i) =>
        row.flatMap((value, j): Cell[] => (value === null ? [] : [{ row: i, column: j, value }])),
    );
    const narrow = width < 90 * chart.columns.length;
    const columns = chart.columns.map((name) => shortened(name, MOST_LETTERS));
    const longest = Math.max(0, ...columns.map((name) => name.length));
    const marginLeft = 20 + LETTER * Math.max(chart.rowLabel.length, ...chart.rows.map((name) => name.length));
    const marginTop = (narrow ? 16 + 5 * longest : 24) + KEY + TOP;
    const row = Math.max(narrow ? 18 : 22, Math.min(44, 420 / Math.max(1, chart.rows.length)));
    const height = marginTop + row * chart.rows.length + 12;
    const shade = shades(
        chart,
        cells.map((cell) => cell.value),
    );
    const svg = Plot.plot({
        width,
        height,
        marginLeft,
        marginRight: narrow ? 14 + 3.6 * (columns.at(-1)?.length ?? 0) : 8,
        marginTop,
        marginBottom: 12,
        padding: 0.06,
        className: "chart",
        x: { type: "band", domain: chart.columns.map((_, i) => i) },
        y: { type: "band", domain: chart.rows.map((_, i) => i) },
        opacity: { type: "linear", domain: [0, 1], range: [0, 1] },
        marks: [
            Plot.axisX({
                anchor: "top",
                label: null,
                tickSize: 0,
                tickFormat: (i: number) => columns[i] ?? "",
                ...(narrow ? { tickRotate: -40, textAnchor: "start" } : {}),
            }),
            Plot.axisY({ label: null, tickSize: 0, tickFormat: (i: number) => chart.rows[i] ?? "" }),
            Plot.text([chart.rowLabel], {
                frameAnchor: "top-left",
                dx: -marginLeft + 4,
                dy: -14,
                text: (label: string) => label,
            }),
            ...[0, 1].map((sign) =>
                Plot.cell(
                    cells.filter((cell) => cell.value < 0 === (sign === 1)),
                    {
                        x: "column",
                        y: "row",
                        fillOpacity: (cell) => shade.of(cell.value),
                        rx: 2,
                        className: `h${sign}`,
                    },
                ),
            ),
            Plot.cell(cells, { x: "column", y: "row", fill: "none", rx: 2, className: "frame" }),
        ],
    }) as SVGSVGElement & Plot.Plot;
    svg.append(key(chart, shade, marginLeft, Math.min(320, width - marginLeft - 24)));
    if (cells.length === 0) svg.append(empty(width / 2, height / 2));
    const across = svg.scale("x")!;
    const down = svg.scale("y")!;
    const targets = chart.rows.map((_, i) =>
        cells
            .filter((cell) => cell.row === i)
            .map((cell): Target => ({
                x: across.apply(cell.column) + across.bandwidth! / 2,
                y: down.apply(i) + down.bandwidth! / 2,
                name: `${chart.rowLabel} ${chart.rows[i]}, ${chart.columns[cell.column]}`,
                value: `${chart.value.label} ${exact(cell.value)}`,
            })),
    );
    return { svg, targets: targets.filter((line) => line.length > 0) };
}

interface Shade {
    low: number;
    high: number;
    of(value: number): number;
}

/** The opacity of a value: relative to the range of values, or to the largest absolute value. */
function shades(chart: Grid, values: number[]): Shade {
    const [low, high] = fit({ ...chart.value, scale: "linear" }, values).domain;
    const most = Math.max(Math.abs(low), Math.abs(high));
    const bounded = (share: number): number => 0.04 + 0.96 * Math.min(1, Math.max(0, share));
    return chart.colour === "diverging"
        ? { low: low < 0 ? -most : 0, high: most, of: (value) => bounded(Math.abs(value) / most) }
        : { low, high, of: (value) => bounded((value - low) / (high - low)) };
}

/** Draws the scale of colours, with its quantity and its ends. */
function key(chart: Grid, shade: Shade, x: number, width: number): SVGGElement {
    const group = element("g", {});
    const title = element("text", { x, y: 14, "text-anchor": "start" });
    title.textContent = chart.value.label;
    group.append(title);
    for (let i = 0; i < STEPS; i++) {
        const value = shade.low + ((shade.high - shade.low) * (i + 0.5)) / STEPS;
        group.append(
            element("rect", {
                class: `h${value < 0 ? 1 : 0}`,
                x: x + (width * i) / STEPS,
                y: 24,
                width: width / STEPS + 0.3,
                height: 12,
                "fill-opacity": shade.of(value).toFixed(3),
            }),
        );
    }
    group.append(element("rect", { class: "frame", x, y: 24, width, height: 12 }));
    const middle = (shade.low + shade.high) / 2;
    for (const [value, anchor, at] of [
        [shade.low, "start", x],
        [middle, "middle", x + width / 2],
        [shade.high, "end", x + width],
    ] as const) {
        const label = element("text", { x: at, y: 52, "text-anchor": anchor });
        label.textContent = tick(+value.toPrecision(4));
        group.append(label);
    }
    return group;
}

function element<K extends keyof SVGElementTagNameMap>(
    name: K,
    attributes: Record<string, string | number>,
): SVGElementTagNameMap[K] {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, String(value));
    return made;
}

export function tableOfGrid(chart: Grid): DataTable {
    return {
        columns: [chart.rowLabel, ...chart.columns],
        rows: chart.rows.map((name, i) => [name, ...(chart.cells[i] ?? [])]),
    };
}
