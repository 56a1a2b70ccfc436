import * as Plot from "@observablehq/plot";
import type { Curves, DataTable, Drawing, Series, Target } from "../model";
import { exact, tick } from "./numbers";
import { colourClass } from "./palette";
import { across, fit, type Fitted } from "./scale";

const LETTER = 7.2;
const RIGHT = 16;
const TOP = 30;
const BOTTOM = 42;

/** Draws lines, bands and marks over one pair of axes. A series without points draws nothing. */
export function drawCurves(chart: Curves, width: number): Drawing {
    const narrow = width < 500;
    const height = narrow ? 300 : Math.min(400, 220 + width / 6);
    const xs = chart.series.flatMap(places);
    const y = fit(chart.y, chart.series.flatMap(heights));
    const x = across(chart.x, xs, narrow ? 4 : 7);
    const marginLeft = 14 + LETTER * Math.max(...y.ticks.map((value) => tick(value).length));
    const svg = Plot.plot({
        width,
        height,
        marginLeft,
        marginRight: RIGHT,
        marginTop: TOP,
        marginBottom: BOTTOM,
        className: "chart",
        x: { type: x.type, domain: x.domain },
        y: { type: y.type, domain: y.domain },
        marks: [
            Plot.gridY(y.ticks, { className: "grid" }),
            Plot.axisY(y.ticks, { label: null, tickSize: 0, tickFormat: tick }),
            Plot.axisX(x.ticks, {
                label: x.label,
                labelAnchor: "center",
                labelArrow: "none",
                tickSize: 0,
                tickFormat: tick,
                labelOffset: 38,
            }),
            Plot.text([y.label], {
                className: "title",
                frameAnchor: "top-left",
                dx: -marginLeft + 4,
                dy: -TOP + 8,
                text: (label: string) => label,
            }),
            ...(chart.spans ?? []).map(([from, to]) =>
                Plot.rectX([from], { x1: x.clamp(from), x2: x.clamp(to), className: "span" }),
            ),
            ...chart.series.flatMap((series) => seriesMarks(series, y)),
        ],
    }) as SVGSVGElement & Plot.Plot;
    const right = svg.scale("x")!;
    const up = svg.scale("y")!;
    const targets = chart.series
        .filter((series) => series.look !== "band")
        .map((series) =>
            series.points.map(([px, py], i): Target => ({
                x: right.apply(px),
                y: up.apply(y.clamp(py)),
                name: `${series.name}, ${series.notes?.[i] ?? `${chart.x.label} ${exact(px)}`}`,
                value: `${chart.y.label} ${exact(py)}${between(series, i)}`,
            })),
        );
    if (xs.length === 0) svg.append(empty(width / 2, height / 2));
    return { svg, targets: targets.filter((row) => row.length > 0) };
}

function seriesMarks(series: Series, y: Fitted): Plot.Markish[] {
    const colour = `${colourClass(series.slot)} slot${series.slot}`;
    const look = series.look ?? "line";
    const place = { x: (point: [number, number]) => point[0], y: (point: [number, number]) => y.clamp(point[1]) };
    const marks: Plot.Markish[] = [];
    if (series.band && series.band.length > 1)
        marks.push(
            Plot.areaY(series.band, {
                x: (_, i) => series.points[i]![0],
                y1: (range) => y.clamp(range[0]),
                y2: (range) => y.clamp(range[1]),
                className: `${look === "band" ? "range" : "band"} fill ${colour}`,
            }),
        );
    if (look !== "marks" && look !== "band" && series.points.length > 1)
        marks.push(Plot.line(series.points, { ...place, className: `curve ${look} ${colour}` }));
    if (look === "dots" || look === "marks" || (look !== "band" && series.points.length === 1))
        marks.push(Plot.dot(series.points, { ...place, r: 3.5, className: `fill ${colour}` }));
    return marks;
}

/** Draws the text of a chart that has no data. */
export function empty(x: number, y: number): SVGTextElement {
    const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
    text.setAttribute("x", String(x));
    text.setAttribute("y", String(y));
    text.setAttribute("text-anchor", "middle");
    text.textContent = "nothing was recorded";
    return text;
}

export function tableOfCurves(chart: Curves): DataTable {
    const banded = chart.series.some((series) => series.band);
    return {
        columns: ["series", chart.x.label, chart.y.label, ...(banded ? ["least", "largest"] : [])],
        rows: chart.series.flatMap((series) =>
            series.points.map(([x, y], i) => [
                series.name,
                series.notes?.[i] ?? x,
                y,
                ...(banded ? (series.band?.[i] ?? [null, null]) : []),
            ]),
        ),
    };
}

function between(series: Series, i: number): string {
    const band = series.band?.[i];
    return band && band[0] < band[1] ? ` (${exact(band[0])} to ${exact(band[1])})` : "";
}

const heights = (series: Series): number[] => [
    ...series.points.map((point) => point[1]),
    ...(series.band ?? []).flat(),
];

const places = (series: Series): number[] => series.points.map((point) => point[0]);
