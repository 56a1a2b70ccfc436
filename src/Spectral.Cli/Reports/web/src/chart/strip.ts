import * as Plot from "@observablehq/plot";
import type { DataTable, Drawing, Strip } from "../model";
import { empty } from "./curves";
import { exact, shortened, tick } from "./numbers";
import { colourClass } from "./palette";
import { fit } from "./scale";

const ROW = 26;
const LETTER = 7.2;
const TOP = 30;
const BOTTOM = 34;

type Row = Strip["rows"][number];

/** Draws a row for each name, with a dot for each value and a stroke at their mean. */
export function drawStrip(chart: Strip, width: number): Drawing {
    const height = TOP + ROW * chart.rows.length + BOTTOM;
    const marginLeft = Math.min(width / 2, 18 + LETTER * Math.max(0, ...chart.rows.map((row) => row.name.length)));
    const all = chart.rows.flatMap((row) => row.values.map(([, value]) => value));
    const x = fit(chart.value, all, width < 500 ? 3 : 6);
    const svg = Plot.plot({
        width,
        height,
        marginLeft,
        marginRight: 18,
        marginTop: TOP,
        marginBottom: BOTTOM,
        className: "chart",
        x: { type: x.type, domain: x.domain },
        y: { type: "band", domain: chart.rows.map((_, i) => i) },
        marks: [
            Plot.gridX(x.ticks, { className: "grid" }),
            Plot.axisX(x.ticks, { label: null, tickSize: 0, tickFormat: tick }),
            Plot.axisY({
                label: null,
                tickSize: 0,
                tickFormat: (i: number) => shortened(chart.rows[i]?.name ?? "", (marginLeft - 14) / LETTER),
            }),
            Plot.text([x.label], {
                className: "title",
                frameAnchor: "top-left",
                dx: -marginLeft + 4,
                dy: -TOP + 8,
                text: (label: string) => label,
            }),
            ...chart.rows.flatMap((row, i) =>
                row.values.length === 0
                    ? []
                    : [
                          ...(chart.spread
                              ? []
                              : [
                                    Plot.tickX([mean(row)], {
                                        x: (value) => x.clamp(value),
                                        y: () => i,
                                        inset: 4,
                                        className: `mean ${colourClass(row.slot)} slot${row.slot}`,
                                    }),
                                ]),
                          Plot.dot(row.values, {
                              x: (value) => x.clamp(value[1]),
                              y: () => i,
                              r: 4.5,
                              className: `fill faint ${colourClass(row.slot)} slot${row.slot}`,
                          }),
                      ],
            ),
        ],
    }) as SVGSVGElement & Plot.Plot;
    const across = svg.scale("x")!;
    const down = svg.scale("y")!;
    if (all.length === 0) svg.append(empty((width + marginLeft) / 2, height / 2));
    const targets = chart.rows.map((row, i) =>
        row.values.map(([label, value]) => ({
            x: across.apply(x.clamp(value)),
            y: down.apply(i) + down.bandwidth! / 2,
            name: `${row.name}, ${chart.each} ${label}`,
            value: `${chart.value.label} ${exact(value)}${chart.spread ? "" : `, mean ${exact(mean(row))}`}`,
        })),
    );
    return { svg, targets: targets.filter((row) => row.length > 0) };
}

export function tableOfStrip(chart: Strip): DataTable {
    return {
        columns: ["row", chart.each, chart.value.label],
        rows: chart.rows.flatMap((row) => row.values.map(([label, value]) => [row.name, label, value])),
    };
}

const mean = (row: Row): number => row.values.reduce((sum, [, value]) => sum + value, 0) / row.values.length;
